// Turns a growing list of token ids into text, piece by piece, without ever splitting a character.
#pragma once
#include <string>

#include "model/tokenizer.h"

namespace gracemoe {

// All pieces of push() and the one of finish() together are exactly Tokenizer::decode of all ids.
// One per sequence being generated; keeps at most 3 bytes back. The tokenizer must outlive it.
class Detokenizer {
 public:
  Detokenizer(const Tokenizer& tokenizer, bool skip_special)
      : tokenizer_(&tokenizer), skip_special_(skip_special) {}
  // The text that is certain after this token; empty while a character is incomplete.
  // Error (kInput) on an id out of range.
  std::string push(int id);
  // What was kept back, as U+FFFD; the object may then be used for another sequence.
  std::string finish();

 private:
  const Tokenizer* tokenizer_;
  bool skip_special_;
  std::string pending_;
};

}  // namespace gracemoe
