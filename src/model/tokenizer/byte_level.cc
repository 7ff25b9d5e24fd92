#include "model/tokenizer/byte_level.h"

#include <cstddef>

#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

constexpr bool stands_for_itself(unsigned byte) {
  return (byte >= '!' && byte <= '~') || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
}

constexpr std::array<char32_t, 256> kAlphabet = [] {
  std::array<char32_t, 256> alphabet{};
  char32_t next = 0x100;
  for (unsigned byte = 0; byte < 256; ++byte) {
    alphabet[byte] = stands_for_itself(byte) ? byte : next++;
  }
  return alphabet;
}();
constexpr std::size_t kHighest = 0x100 + 68;

// Character -> byte, -1 where none.
constexpr std::array<int, kHighest> kBytes = [] {
  std::array<int, kHighest> bytes{};
  for (int& byte : bytes) byte = -1;
  for (unsigned byte = 0; byte < 256; ++byte) bytes[kAlphabet[byte]] = static_cast<int>(byte);
  return bytes;
}();

}  // namespace

std::array<char32_t, 256> byte_alphabet() {
  return kAlphabet;
}

std::optional<std::string> bytes_of_spelling(std::string_view spelling) {
  std::string bytes;
  for (std::size_t at = 0; at < spelling.size();) {
    const Utf8Char next = utf8_at(spelling, at);
    if (!next.valid || next.code >= kHighest || kBytes[next.code] < 0) return std::nullopt;
    bytes += static_cast<char>(kBytes[next.code]);
    at += next.size;
  }
  return bytes;
}

}  // namespace gracemoe
