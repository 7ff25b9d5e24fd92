#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Bytes of a character by its first byte; 0 for a byte that begins none.
std::size_t length_of(unsigned char lead) {
  if (lead < 0x80) return 1;
  if (lead < 0xc2) return 0;
  if (lead < 0xe0) return 2;
  if (lead < 0xf0) return 3;
  return lead < 0xf5 ? 4 : 0;
}

// The second byte's range is narrower after some first ones: no overlong forms, no surrogates,
// nothing above U+10FFFF.
bool fits_second(unsigned char lead, unsigned char byte) {
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead == 0xe0) low = 0xa0;
  if (lead == 0xed) high = 0x9f;
  if (lead == 0xf0) low = 0x90;
  if (lead == 0xf4) high = 0x8f;
  return byte >= low && byte <= high;
}

}  // namespace

Utf8Char utf8_at(std::string_view text, std::size_t at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const std::size_t length = length_of(lead);
  if (length == 0) return {.size = 1};
  char32_t code = length == 1 ? lead : lead & (0x7fU >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if (at + i == text.size()) return {.size = i, .truncated = true};
    const auto byte = static_cast<unsigned char>(text[at + i]);
    const bool fits = i == 1 ? fits_second(lead, byte) : (byte & 0xc0U) == 0x80U;
    if (!fits) return {.size = i};
    code = (code << 6U) | (byte & 0x3fU);
  }
  return {.code = code, .size = length, .valid = true};
}

std::size_t first_invalid_utf8(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const Utf8Char next = utf8_at(text, at);
    if (!next.valid) return at;
    at += next.size;
  }
  return at;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char next = utf8_at(text, at);
    repaired += next.valid ? text.substr(at, next.size) : kReplacement;
    at += next.size;
  }
  return repaired;
}

std::size_t incomplete_tail(std::string_view text) {
  for (std::size_t size = 1; size <= 3 && size <= text.size(); ++size) {
    const Utf8Char last = utf8_at(text, text.size() - size);
    if (last.truncated && last.size == size) return size;
  }
  return 0;
}

void append_utf8(std::string& text, char32_t code) {
  const auto tail = [&](unsigned shift) {
    text += static_cast<char>(0x80U | ((code >> shift) & 0x3fU));
  };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += static_cast<char>(0xc0U | (code >> 6U));
    tail(0);
  } else if (code < 0x10000) {
    text += static_cast<char>(0xe0U | (code >> 12U));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xf0U | (code >> 18U));
    tail(12);
    tail(6);
    tail(0);
  }
}

}  // namespace gracemoe
