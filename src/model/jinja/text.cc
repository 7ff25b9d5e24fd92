#include "model/jinja/text.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/uchar.h>

#include "base/error.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe::jinja {
namespace {

std::size_t last_character(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U) --at;
  return at;
}

bool strips(std::string_view character, std::string_view chars) {
  return chars.empty() ? is_space(utf8_at(character, 0).code) : chars.find(character) != chars.npos;
}

std::vector<std::string_view> split_at_blanks(std::string_view text, std::int64_t limit) {
  std::vector<std::string_view> parts;
  text = strip_left(text, {});
  while (!text.empty() && limit != 0) {
    std::size_t end = 0;
    while (end < text.size() && !is_space(utf8_at(text, end).code)) end += utf8_at(text, end).size;
    parts.push_back(text.substr(0, end));
    text = strip_left(text.substr(end), {});
    --limit;
  }
  if (!text.empty()) parts.push_back(strip_right(text, {}));
  return parts;
}

template <typename Map>
std::string mapped(std::string_view text, Map map) {
  std::string result;
  UErrorCode status = U_ZERO_ERROR;
  icu::StringByteSink<std::string> sink(&result);
  map(icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())), sink, status);
  GM_CHECK(U_SUCCESS(status), "ICU cannot change the case");
  return result;
}

}  // namespace

bool is_space(char32_t code) {
  return (code >= 0x1c && code <= 0x1f) || u_isUWhiteSpace(static_cast<UChar32>(code)) != 0;
}

std::size_t length(std::string_view text) {
  std::size_t count = 0;
  for (const char byte : text) count += (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U ? 1 : 0;
  return count;
}

std::vector<std::string_view> characters(std::string_view text) {
  std::vector<std::string_view> parts;
  for (std::size_t at = 0; at < text.size(); at += parts.back().size())
    parts.push_back(text.substr(at, utf8_at(text, at).size));
  return parts;
}

std::string_view strip_left(std::string_view text, std::string_view chars) {
  while (!text.empty()) {
    const std::size_t size = utf8_at(text, 0).size;
    if (!strips(text.substr(0, size), chars)) break;
    text.remove_prefix(size);
  }
  return text;
}

std::string_view strip_right(std::string_view text, std::string_view chars) {
  while (!text.empty()) {
    const std::size_t last = last_character(text);
    if (!strips(text.substr(last), chars)) break;
    text = text.substr(0, last);
  }
  return text;
}

std::vector<std::string_view> split(std::string_view text, std::string_view separator,
                                    std::int64_t limit) {
  if (separator.empty()) return split_at_blanks(text, limit);
  std::vector<std::string_view> parts;
  for (std::size_t at = text.find(separator); at != text.npos && limit != 0; --limit) {
    parts.push_back(text.substr(0, at));
    text.remove_prefix(at + separator.size());
    at = text.find(separator);
  }
  parts.push_back(text);
  return parts;
}

std::string replace(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  bool first = true;
  for (const std::string_view part : split(text, from, -1)) {
    if (!first) result += to;
    first = false;
    result += part;
  }
  return result;
}

std::string upper(std::string_view text) {
  return mapped(text, [](icu::StringPiece piece, icu::ByteSink& sink, UErrorCode& status) {
    icu::CaseMap::utf8ToUpper("", 0, piece, sink, nullptr, status);
  });
}

std::string lower(std::string_view text) {
  return mapped(text, [](icu::StringPiece piece, icu::ByteSink& sink, UErrorCode& status) {
    icu::CaseMap::utf8ToLower("", 0, piece, sink, nullptr, status);
  });
}

std::string with_unix_newlines(std::string_view text) {
  std::string result;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] != '\r') {
      result += text[at];
    } else if (at + 1 == text.size() || text[at + 1] != '\n') {
      result += '\n';
    }
  }
  return result;
}

}  // namespace gracemoe::jinja
