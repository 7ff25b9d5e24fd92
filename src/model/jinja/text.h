// Python's string operations on UTF-8: lengths, places and blanks are of characters.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace gracemoe::jinja {

bool is_space(char32_t code);  // str.isspace of one character
std::size_t length(std::string_view text);
// Each character by itself.
std::vector<std::string_view> characters(std::string_view text);
// str.lstrip and rstrip: of blanks where `chars` is empty, else of these characters.
std::string_view strip_left(std::string_view text, std::string_view chars);
std::string_view strip_right(std::string_view text, std::string_view chars);
// str.split(separator, limit); an empty separator: at runs of blanks. limit < 0: everywhere.
std::vector<std::string_view> split(std::string_view text, std::string_view separator,
                                    std::int64_t limit);
// str.replace; `from` must not be empty.
std::string replace(std::string_view text, std::string_view from, std::string_view to);
std::string upper(std::string_view text);
std::string lower(std::string_view text);
// "\r\n" and "\r" become "\n".
std::string with_unix_newlines(std::string_view text);

}  // namespace gracemoe::jinja
