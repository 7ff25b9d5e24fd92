#include "model/tokenizer/regex.h"

#include <oniguruma.h>

#include <array>
#include <memory>
#include <optional>

#include "base/error.h"
#include "model/tokenizer/regex_classes.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

// A greedy run of n characters may give back each of them once for each of a pattern's
// alternatives: allowed. Exponential patterns are not.
constexpr unsigned long kSteps = 10'000'000;
constexpr unsigned long kStepsPerByte = 32;

const OnigUChar* pointer(const char* text) {
  return reinterpret_cast<const OnigUChar*>(text);
}

// Some codes' texts have a part of the pattern in them, which `info` knows.
std::string error_text(int code, OnigErrorInfo info = {}) {
  std::array<OnigUChar, ONIG_MAX_ERROR_MESSAGE_LEN> text{};
  const int size = onig_error_code_to_str(text.data(), code, &info);
  return {reinterpret_cast<const char*>(text.data()), static_cast<std::size_t>(size)};
}

// The library's tables, made once a process; C++ guards a local static against two threads.
void prepare_library() {
  static const int status = [] {
    OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
    return onig_initialize(encodings, 1);
  }();
  GM_CHECK(status == ONIG_NORMAL, "Oniguruma cannot be initialised");
}

struct FreeRegion {
  void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
};
struct FreeParam {
  void operator()(OnigMatchParam* param) const { onig_free_match_param(param); }
};

// One pass over a text: the next match at or after a position.
class Search {
 public:
  Search(regex_t* regex, std::string_view text, const std::string& name)
      : regex_(regex),
        text_(text),
        name_(name),
        region_(onig_region_new()),
        param_(onig_new_match_param()) {
    onig_initialize_match_param(param_.get());
    onig_set_retry_limit_in_match_of_match_param(param_.get(),
                                                 kSteps + kStepsPerByte * text.size());
  }

  std::optional<std::pair<std::size_t, std::size_t>> from(std::size_t start) {
    const OnigUChar* begin = pointer(text_.data());
    const OnigUChar* end = begin + text_.size();
    const int at = onig_search_with_param(regex_, begin, end, begin + start, end, region_.get(),
                                          ONIG_OPTION_NONE, param_.get());
    if (at == ONIG_MISMATCH) return std::nullopt;
    if (at < 0) {
      fail_input({.what = name_ + ": the pattern does not get through this text",
                  .got = error_text(at),
                  .wanted = "",
                  .action = "split the text into smaller ones"});
    }
    return std::pair(static_cast<std::size_t>(region_->beg[0]),
                     static_cast<std::size_t>(region_->end[0]));
  }

 private:
  regex_t* regex_;
  std::string_view text_;
  const std::string& name_;
  std::unique_ptr<OnigRegion, FreeRegion> region_;
  std::unique_ptr<OnigMatchParam, FreeParam> param_;
};

}  // namespace

Regex::Regex(const std::string& pattern, std::string name) : name_(std::move(name)) {
  if (pattern.find("punct:]") != pattern.npos) {
    // Oniguruma 6.9.8 leaves symbols like < + $ out of it and 6.9.10 does not: which one the
    // tokenizer was made with cannot be known.
    fail_input({.what = name_,
                .got = "the class [:punct:]",
                .wanted = "\\p{P} or \\p{S}",
                .action = "its meaning depends on the version of the expression's engine"});
  }
  prepare_library();
  OnigErrorInfo info{};
  const std::string full = with_late_characters(pattern);
  const int code = onig_new(&regex_, pointer(full.data()), pointer(full.data() + full.size()),
                            ONIG_OPTION_NONE, ONIG_ENCODING_UTF8, ONIG_SYNTAX_ONIGURUMA, &info);
  if (code != ONIG_NORMAL) {
    fail_input({.what = name_,
                .got = "'" + pattern + "' (" + error_text(code, info) + ")",
                .wanted = "a regular expression",
                .action = "check that the file is as published: Oniguruma reads its patterns"});
  }
}

Regex::~Regex() {
  if (regex_ != nullptr) onig_free(regex_);
}

std::vector<std::pair<std::size_t, std::size_t>> Regex::find_all(std::string_view text) const {
  std::vector<std::pair<std::size_t, std::size_t>> matches;
  Search search(regex_, text, name_);
  for (std::size_t start = 0; start <= text.size();) {
    const auto match = search.from(start);
    if (!match) break;
    const auto [begin, end] = *match;
    if (begin == end && !matches.empty() && matches.back().second == end) {
      start += start < text.size() ? utf8_at(text, start).size : 1;
      continue;
    }
    matches.push_back(*match);
    start = end;
  }
  return matches;
}

}  // namespace gracemoe
