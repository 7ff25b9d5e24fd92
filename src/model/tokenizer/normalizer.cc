#include "model/tokenizer/normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/uniset.h>

#include <map>

#include "base/error.h"
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

std::string normal_form(const icu::Normalizer2* form, std::string_view text, UErrorCode status) {
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

}  // namespace

Normalizer::Normalizer(const Json& json, const std::string& name) {
  if (!json.is_null()) add(json, name);
}

void Normalizer::add(const Json& json, const std::string& name) {
  static const std::map<std::string, Step> kTypes{{"NFC", Step::kNfc},
                                                  {"NFD", Step::kNfd},
                                                  {"NFKC", Step::kNfkc},
                                                  {"NFKD", Step::kNfkd},
                                                  {"Lowercase", Step::kLowercase}};
  const JsonObject object(json, name);
  const std::string type = object.text("type");
  if (type == "Sequence") {
    int index = 0;
    for (const Json& part : object.array("normalizers")) {
      add(part, object.key_name("normalizers") + "[" + std::to_string(index++) + "]");
    }
    return;
  }
  const auto found = kTypes.find(type);
  if (found == kTypes.end()) {
    fail_input({.what = object.key_name("type"),
                .got = "'" + type + "'",
                .wanted = "NFC, NFD, NFKC, NFKD, Lowercase or a Sequence of them",
                .action = "this tokenizer needs a normalizer that gracemoe does not have"});
  }
  steps_.push_back(found->second);
}

std::string Normalizer::apply_step(Step step, std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  switch (step) {
    case Step::kNfc:
      return normal_form(icu::Normalizer2::getNFCInstance(status), text, status);
    case Step::kNfd:
      return normal_form(icu::Normalizer2::getNFDInstance(status), text, status);
    case Step::kNfkc:
      return normal_form(icu::Normalizer2::getNFKCInstance(status), text, status);
    case Step::kNfkd:
      return normal_form(icu::Normalizer2::getNFKDInstance(status), text, status);
    case Step::kLowercase:
      return lowercase(text);
  }
  return {};
}

std::string Normalizer::apply(std::string_view text) const {
  std::string result(text);
  for (const Step step : steps_) result = apply_step(step, result);
  return result;
}

}  // namespace gracemoe
