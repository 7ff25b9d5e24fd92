// The "normalizer" of tokenizer.json: what is done to a text before anything looks at it.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace gracemoe {

class Normalizer {
 public:
  // `json` may be null (no change). Error (kInput): a type other than NFC, NFD, NFKC, NFKD,
  // Lowercase and Sequence.
  Normalizer(const Json& json, const std::string& name);
  // `text` must be UTF-8.
  std::string apply(std::string_view text) const;

 private:
  enum class Step { kNfc, kNfd, kNfkc, kNfkd, kLowercase };
  void add(const Json& json, const std::string& name);
  static std::string apply_step(Step step, std::string_view text);
  std::vector<Step> steps_;
};

}  // namespace gracemoe
