// Regular expressions with the engine that Hugging Face's tokenizers are written for (Oniguruma,
// UTF-8): others differ in what \s and (?i:) match.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct re_pattern_buffer;  // Oniguruma's compiled pattern

namespace gracemoe {

class Regex {
 public:
  // Error (kInput): not a valid expression; `name` says where it came from.
  Regex(const std::string& pattern, std::string name);
  ~Regex();
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;

  // [begin, end) of all matches from left to right, without overlap; an empty match right after
  // another match is left out. `text` must be UTF-8. Error (kInput) where a match takes far more
  // steps than the text is long. Thread-safe.
  std::vector<std::pair<std::size_t, std::size_t>> find_all(std::string_view text) const;

 private:
  std::string name_;
  re_pattern_buffer* regex_ = nullptr;
};

}  // namespace gracemoe
