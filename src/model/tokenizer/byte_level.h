// The alphabet in which byte-level vocabularies spell bytes: printable Latin-1 characters stand for
// themselves, the other 68 bytes for U+0100 upwards, in order (a blank is U+0120).
#pragma once
#include <array>
#include <optional>
#include <string>
#include <string_view>

namespace gracemoe {

// The character that spells each byte.
std::array<char32_t, 256> byte_alphabet();
// The bytes that a token's spelling stands for; nothing if a character is not of the alphabet.
std::optional<std::string> bytes_of_spelling(std::string_view spelling);

}  // namespace gracemoe
