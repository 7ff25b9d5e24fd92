// The "pre_tokenizer" of tokenizer.json: cuts a text into pieces that the model encodes one by one.
#pragma once
#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace gracemoe {

class PreTokenizer {
 public:
  // Error (kInput): a type other than ByteLevel, Split, Digits and Sequence; no ByteLevel, or one
  // that is not last (what follows it would see spelled bytes, not text).
  PreTokenizer(const Json& json, const std::string& name);
  // Pieces in order, none empty: views into `text` or into strings added to `store`. ByteLevel's
  // own mapping of bytes to characters is left out: the model takes bytes.
  std::vector<std::string_view> split(std::string_view text, std::deque<std::string>& store) const;

 private:
  // A stretch of a text: a match of a stage's pattern, or what lies between matches.
  struct Span {
    std::size_t begin, end;
    bool match;
  };
  using Finder = std::function<std::vector<Span>(std::string_view)>;
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Stage {
    Finder find;  // none: the text stays whole
    Behavior behavior = Behavior::kIsolated;
    bool invert = false;
    bool prefix_space = false;
    bool byte_level = false;
  };
  void add(const Json& json, const std::string& name);
  static Stage read_byte_level(const JsonObject& json);
  static Stage read_split(const JsonObject& json);
  static Stage read_digits(const JsonObject& json);
  static Finder regex_finder(const std::string& pattern, const std::string& name);
  static Finder string_finder(const std::string& text);
  static std::vector<Span> find_digits(std::string_view text);
  static std::vector<Span> merge(std::vector<Span> spans, Behavior behavior);

  std::vector<Stage> stages_;
};

}  // namespace gracemoe
