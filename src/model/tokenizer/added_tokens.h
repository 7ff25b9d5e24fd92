// The "added_tokens" of tokenizer.json: spellings that become one id wherever they stand in a text.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/tokenizer/normalizer.h"

namespace gracemoe {

struct AddedToken {
  int id = 0;
  std::string content;
  bool special = false;      // decode may leave it out
  bool normalized = false;   // sought in the normalised text, else in the raw one
  bool single_word = false;  // only between characters that are no parts of words
  bool left_strip = false;   // takes the white space before it along
  bool right_strip = false;  // and after it
};

// Errors (kInput): a value of the wrong type, an id or a content twice, a content over 1024 bytes.
std::vector<AddedToken> read_added_tokens(const Json& json, const std::string& name);

// Finds added tokens in a text: the leftmost, and of those the longest.
class AddedTokenFinder {
 public:
  // A part of a text: an added token's id, or id < 0 for text between them (never empty).
  struct Part {
    int id;
    std::string_view text;
  };
  // Takes the tokens with this `normalized`; their contents are sought as `normalizer` leaves them
  // where it is not null.
  AddedTokenFinder(const std::vector<AddedToken>& tokens, bool normalized,
                   const Normalizer* normalizer);
  // Views into `text`, in order. `text` must be UTF-8.
  std::vector<Part> split(std::string_view text) const;

 private:
  struct Node {
    std::map<unsigned char, std::size_t> next;
    int token = -1;  // index in tokens_ of the content that ends here
  };
  struct Match {
    std::size_t begin, end;
    int token;
  };
  void insert(const std::string& content, int token);
  Match longest_at(std::string_view text, std::size_t at) const;
  Match next_match(std::string_view text, std::size_t from) const;

  std::vector<AddedToken> tokens_;
  std::vector<Node> nodes_{1};
  std::array<bool, 256> first_{};  // bytes that begin a content: most positions stop here
};

}  // namespace gracemoe
