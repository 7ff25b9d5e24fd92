// UTF-8 as the tokenizer needs it: checked, and repaired the way Rust's String::from_utf8_lossy
// does.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>

namespace gracemoe {

struct Utf8Char {
  char32_t code = 0;  // where valid
  std::size_t size =
      0;  // bytes; of an invalid sequence: its longest part that could begin a character
  bool valid = false;
  bool truncated = false;  // invalid only because the text ends here
};

// The character at `at` < text.size().
Utf8Char utf8_at(std::string_view text, std::size_t at);
// Offset of the first byte that is not UTF-8; text.size() where all is well.
std::size_t first_invalid_utf8(std::string_view text);
// Each invalid sequence becomes one U+FFFD.
std::string replace_invalid_utf8(std::string_view text);
// Bytes (0 to 3) at the end that begin a character which the text does not finish.
std::size_t incomplete_tail(std::string_view text);
void append_utf8(std::string& text, char32_t code);

}  // namespace gracemoe
