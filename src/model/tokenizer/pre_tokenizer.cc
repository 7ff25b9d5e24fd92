#include "model/tokenizer/pre_tokenizer.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "base/error.h"
#include "model/tokenizer/regex.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

// The words of GPT-2: contractions, runs of letters, of digits and of other signs, each with one
// blank before it; blanks but the last before a word.
constexpr const char* kByteLevelPattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool is_numeric(char32_t code) {
  return (U_GET_GC_MASK(static_cast<UChar32>(code)) & U_GC_N_MASK) != 0;
}

}  // namespace

PreTokenizer::PreTokenizer(const Json& json, const std::string& name) {
  if (!json.is_null()) add(json, name);
  const auto count = std::count_if(stages_.begin(), stages_.end(),
                                   [](const Stage& stage) { return stage.byte_level; });
  if (count != 1 || !stages_.back().byte_level) {
    fail_input({.what = name,
                .got = count == 0 ? "no ByteLevel" : "ByteLevel before the end",
                .wanted = "one ByteLevel, last",
                .action = "gracemoe reads byte-level BPE tokenizers only"});
  }
}

void PreTokenizer::add(const Json& json, const std::string& name) {
  const JsonObject object(json, name);
  const std::string type = object.text("type");
  if (type == "Sequence") {
    int index = 0;
    for (const Json& part : object.array("pretokenizers")) {
      add(part, object.key_name("pretokenizers") + "[" + std::to_string(index++) + "]");
    }
  } else if (type == "ByteLevel") {
    stages_.push_back(read_byte_level(object));
  } else if (type == "Split") {
    stages_.push_back(read_split(object));
  } else if (type == "Digits") {
    stages_.push_back(read_digits(object));
  } else {
    fail_input({.what = object.key_name("type"),
                .got = "'" + type + "'",
                .wanted = "ByteLevel, Split, Digits or a Sequence of them",
                .action = "this tokenizer needs a pre-tokenizer that gracemoe does not have"});
  }
}

PreTokenizer::Stage PreTokenizer::read_byte_level(const JsonObject& json) {
  Stage stage;
  stage.byte_level = true;
  stage.prefix_space = json.boolean_or("add_prefix_space", true);
  if (json.boolean_or("use_regex", true)) {
    stage.find = regex_finder(kByteLevelPattern, json.name());
  }
  return stage;
}

PreTokenizer::Stage PreTokenizer::read_split(const JsonObject& json) {
  static const std::map<std::string, Behavior> kBehaviors{
      {"Removed", Behavior::kRemoved},
      {"Isolated", Behavior::kIsolated},
      {"MergedWithPrevious", Behavior::kMergedWithPrevious},
      {"MergedWithNext", Behavior::kMergedWithNext},
      {"Contiguous", Behavior::kContiguous}};
  const std::string name = json.text("behavior");
  const auto behavior = kBehaviors.find(name);
  if (behavior == kBehaviors.end()) {
    fail_input({.what = json.key_name("behavior"),
                .got = "'" + name + "'",
                .wanted = "Removed, Isolated, MergedWithPrevious, MergedWithNext or Contiguous",
                .action = "check that the file is as published"});
  }
  Stage stage;
  stage.behavior = behavior->second;
  stage.invert = json.boolean_or("invert", false);
  const JsonObject pattern = json.object("pattern");
  if (pattern.has("Regex")) {
    stage.find = regex_finder(pattern.text("Regex"), pattern.key_name("Regex"));
  } else if (!pattern.text("String").empty()) {
    stage.find = string_finder(pattern.text("String"));
  } else {
    fail_input({.what = pattern.key_name("String"),
                .got = "an empty string",
                .wanted = "text to split at",
                .action = "check that the file is as published"});
  }
  return stage;
}

PreTokenizer::Stage PreTokenizer::read_digits(const JsonObject& json) {
  Stage stage;
  stage.find = find_digits;
  stage.behavior =
      json.boolean_or("individual_digits", false) ? Behavior::kIsolated : Behavior::kContiguous;
  return stage;
}

PreTokenizer::Finder PreTokenizer::regex_finder(const std::string& pattern,
                                                const std::string& name) {
  const auto regex = std::make_shared<const Regex>(pattern, name);
  return [regex](std::string_view text) {
    std::vector<Span> spans;
    std::size_t done = 0;
    for (const auto& [begin, end] : regex->find_all(text)) {
      if (begin > done) spans.push_back({done, begin, false});
      spans.push_back({begin, end, true});
      done = end;
    }
    if (done < text.size()) spans.push_back({done, text.size(), false});
    return spans;
  };
}

PreTokenizer::Finder PreTokenizer::string_finder(const std::string& wanted) {
  return [wanted](std::string_view text) {
    std::vector<Span> spans;
    std::size_t done = 0;
    for (std::size_t at = text.find(wanted); at != text.npos; at = text.find(wanted, done)) {
      if (at > done) spans.push_back({done, at, false});
      done = at + wanted.size();
      spans.push_back({at, done, true});
    }
    if (done < text.size()) spans.push_back({done, text.size(), false});
    return spans;
  };
}

std::vector<PreTokenizer::Span> PreTokenizer::find_digits(std::string_view text) {
  std::vector<Span> spans;
  for (std::size_t at = 0; at < text.size();) {
    const Utf8Char next = utf8_at(text, at);
    const bool digit = is_numeric(next.code);
    if (!digit && !spans.empty() && !spans.back().match) {
      spans.back().end += next.size;
    } else {
      spans.push_back({at, at + next.size, digit});
    }
    at += next.size;
  }
  return spans;
}

std::vector<PreTokenizer::Span> PreTokenizer::merge(std::vector<Span> spans, Behavior behavior) {
  if (behavior == Behavior::kRemoved) {
    std::erase_if(spans, [](const Span& span) { return span.match; });
    return spans;
  }
  if (behavior == Behavior::kIsolated) return spans;
  const bool backwards = behavior == Behavior::kMergedWithNext;
  if (backwards) std::reverse(spans.begin(), spans.end());
  std::vector<Span> merged;
  bool previous = false;
  for (const Span& span : spans) {
    const bool joins =
        behavior == Behavior::kContiguous ? span.match == previous : span.match && !previous;
    if (!joins || merged.empty()) {
      merged.push_back(span);
    } else if (backwards) {
      merged.back().begin = span.begin;
    } else {
      merged.back().end = span.end;
    }
    previous = span.match;
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  return merged;
}

std::vector<std::string_view> PreTokenizer::split(std::string_view text,
                                                  std::deque<std::string>& store) const {
  std::vector<std::string_view> pieces{text};
  for (const Stage& stage : stages_) {
    std::vector<std::string_view> next;
    for (std::string_view piece : pieces) {
      if (stage.prefix_space && !piece.starts_with(' ')) {
        piece = store.emplace_back(" " + std::string(piece));
      }
      if (!stage.find) {
        next.push_back(piece);
        continue;
      }
      std::vector<Span> spans = stage.find(piece);
      if (stage.invert) {
        for (Span& span : spans) span.match = !span.match;
      }
      for (const Span& span : merge(std::move(spans), stage.behavior)) {
        if (span.end > span.begin) next.push_back(piece.substr(span.begin, span.end - span.begin));
      }
    }
    pieces = std::move(next);
  }
  return pieces;
}

}  // namespace gracemoe
