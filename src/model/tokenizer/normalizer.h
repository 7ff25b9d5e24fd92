// The "normalizer" of tokenizer.json: what is done to a text before anything looks at it.
#pragma once
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace gracemoe {

class Normalizer {
 public:
  // `json` may be null (no change). Error (kInput): a type other than NFC, NFD, NFKC, NFKD,
  // Lowercase, Prepend, Replace, Strip and Sequence.
  Normalizer(const Json& json, const std::string& name);
  // `text` must be UTF-8. Error (kInput) as Regex::find_all.
  std::string apply(std::string_view text) const;

 private:
  using Step = std::function<std::string(std::string_view text)>;
  void add(const Json& json, const std::string& name);
  std::vector<Step> steps_;
};

}  // namespace gracemoe
