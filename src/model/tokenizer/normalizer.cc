#include "model/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

// The tokenizers' original library has the normal forms of Unicode 9: later characters stay as they
// are and end a run of combining marks, as characters without a meaning do.
const icu::UnicodeSet& known_characters() {
  static const icu::UnicodeSet kKnown = [] {
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeSet known(icu::UnicodeString("[:age=9.0:]"), status);
    GM_CHECK(U_SUCCESS(status), "ICU does not know the ages of characters");
    known.freeze();
    return known;
  }();
  return kKnown;
}

using Form = const icu::Normalizer2* (*)(UErrorCode&);

std::string normal_form(Form get_form, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* form = get_form(status);
  std::string result;
  if (U_SUCCESS(status)) {
    icu::StringByteSink<std::string> sink(&result, static_cast<std::int32_t>(text.size()));
    icu::FilteredNormalizer2(*form, known_characters())
        .normalizeUTF8(0, icu::StringPiece(text.data(), static_cast<std::int32_t>(text.size())),
                       sink, nullptr, status);
  }
  GM_CHECK(U_SUCCESS(status), "ICU cannot normalise");
  return result;
}

// Character by character, so without the rule for a final sigma; U+0130 is the one character whose
// lower case is two.
std::string lowercase(std::string_view text) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char next = utf8_at(text, at);
    at += next.size;
    if (next.code == 0x130) {
      result += "i\xcc\x87";
    } else {
      append_utf8(result, static_cast<char32_t>(u_tolower(static_cast<UChar32>(next.code))));
    }
  }
  return result;
}

// Every match of the pattern becomes `content`, as it stands.
std::string replace(const Regex& pattern, const std::string& content, std::string_view text) {
  std::string result;
  std::size_t done = 0;
  for (const auto& [begin, end] : pattern.find_all(text)) {
    result += text.substr(done, begin - done);
    result += content;
    done = end;
  }
  result += text.substr(done);
  return result;
}

// A text as a regular expression.
std::string escaped(const std::string& text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}#&-~ \t\n\r\v\f").find(c) != std::string_view::npos)
      pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::shared_ptr<const Regex> read_pattern(const JsonObject& json) {
  const JsonObject pattern = json.object("pattern");
  if (pattern.has("Regex"))
    return std::make_shared<const Regex>(pattern.text("Regex"), pattern.key_name("Regex"));
  const std::string text = pattern.text("String");
  if (text.empty()) {
    fail_input({.what = pattern.key_name("String"),
                .got = "an empty string",
                .wanted = "text to replace",
                .action = "check that the file is as published"});
  }
  return std::make_shared<const Regex>(escaped(text), pattern.key_name("String"));
}

std::string strip(std::string_view text, bool left, bool right) {
  std::size_t begin = text.size(), end = 0;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char next = utf8_at(text, at);
    if (u_isUWhiteSpace(static_cast<UChar32>(next.code)) == 0) {
      begin = std::min(begin, at);
      end = at + next.size;
    }
    at += next.size;
  }
  if (!left) begin = 0;
  if (!right) end = text.size();
  return begin < end ? std::string(text.substr(begin, end - begin)) : std::string();
}

std::function<std::string(std::string_view)> form(Form get) {
  return [get](std::string_view text) { return normal_form(get, text); };
}

}  // namespace

Normalizer::Normalizer(const Json& json, const std::string& name) {
  if (!json.is_null()) add(json, name);
}

void Normalizer::add(const Json& json, const std::string& name) {
  const JsonObject object(json, name);
  const std::string type = object.text("type");
  if (type == "Sequence") {
    int index = 0;
    for (const Json& part : object.array("normalizers")) {
      add(part, object.key_name("normalizers") + "[" + std::to_string(index++) + "]");
    }
  } else if (type == "NFC") {
    steps_.push_back(form(icu::Normalizer2::getNFCInstance));
  } else if (type == "NFD") {
    steps_.push_back(form(icu::Normalizer2::getNFDInstance));
  } else if (type == "NFKC") {
    steps_.push_back(form(icu::Normalizer2::getNFKCInstance));
  } else if (type == "NFKD") {
    steps_.push_back(form(icu::Normalizer2::getNFKDInstance));
  } else if (type == "Lowercase") {
    steps_.push_back(lowercase);
  } else if (type == "Prepend") {
    steps_.push_back([before = object.text("prepend")](std::string_view text) {
      return text.empty() ? std::string() : before + std::string(text);
    });
  } else if (type == "Replace") {
    steps_.push_back([pattern = read_pattern(object), content = object.text("content")](
                         std::string_view text) { return replace(*pattern, content, text); });
  } else if (type == "Strip") {
    steps_.push_back([left = object.boolean_or("strip_left", true),
                      right = object.boolean_or("strip_right", true)](std::string_view text) {
      return strip(text, left, right);
    });
  } else {
    fail_input({.what = object.key_name("type"),
                .got = "'" + type + "'",
                .wanted = "NFC, NFD, NFKC, NFKD, Lowercase, Prepend, Replace, Strip or a Sequence "
                          "of them",
                .action = "this tokenizer needs a normalizer that gracemoe does not have"});
  }
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const Step& step : steps_) result = step(result);
  return result;
}

}  // namespace gracemoe
