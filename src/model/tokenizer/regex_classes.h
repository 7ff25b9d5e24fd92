// Unicode's classes in regular expressions, brought up to the version that tokenizers are made
// with.
#pragma once
#include <string>
#include <string_view>

namespace gracemoe {

// The pattern with the characters of Unicode 15 and 16 added to \p{L}, \p{Nd}, ..., \d, \w and
// their opposites: Debian 12's Oniguruma knows Unicode 14, the one inside of Hugging Face's
// tokenizers 0.23 knows 16. Where the library knows them already, the meaning stays.
std::string with_late_characters(std::string_view pattern);
// Whether it is one of them that \w takes: a letter, a mark or a decimal digit.
bool is_late_word_character(char32_t code);

}  // namespace gracemoe
