#include "model/tokenizer/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>
#include <set>
#include <utility>

#include "base/error.h"
#include "model/tokenizer/bpe.h"
#include "model/tokenizer/regex_classes.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe {
namespace {

// Bounds the time of a search: each position of a text may be compared with this many bytes.
constexpr std::size_t kMaxContent = 1024;

[[noreturn]] void twice(const std::string& name, const std::string& got) {
  fail_input({.what = name,
              .got = got,
              .wanted = "each once",
              .action = "check that the file is as published"});
}

AddedToken read_one(const Json& json, const std::string& name) {
  const JsonObject object(json, name);
  AddedToken token;
  token.id = static_cast<int>(object.integer("id", 0, Bpe::kMaxTokens - 1));
  token.content = object.text("content");
  token.special = object.boolean_or("special", false);
  token.normalized = object.boolean_or("normalized", !token.special);
  token.single_word = object.boolean_or("single_word", false);
  token.left_strip = object.boolean_or("lstrip", false);
  token.right_strip = object.boolean_or("rstrip", false);
  if (token.content.size() > kMaxContent) {
    fail_input({.what = object.key_name("content"),
                .got = std::to_string(token.content.size()) + " bytes",
                .wanted = "at most " + std::to_string(kMaxContent),
                .action = "check that it is the text of one token"});
  }
  return token;
}

bool is_white(char32_t code) {
  return u_hasBinaryProperty(static_cast<UChar32>(code), UCHAR_WHITE_SPACE) != 0;
}

// \w of Unicode's annex 18.
bool is_word(char32_t code) {
  const auto c = static_cast<UChar32>(code);
  constexpr std::uint32_t kMarksDigitsConnectors = U_GC_M_MASK | U_GC_ND_MASK | U_GC_PC_MASK;
  return u_hasBinaryProperty(c, UCHAR_ALPHABETIC) != 0 ||
         (U_GET_GC_MASK(c) & kMarksDigitsConnectors) != 0 ||
         u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL) != 0 || is_late_word_character(code);
}

// Offset of the character before `at` > 0.
std::size_t before(std::string_view text, std::size_t at) {
  do {
    --at;
  } while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xc0U) == 0x80U);
  return at;
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  const bool left = begin == 0 || !is_word(utf8_at(text, before(text, begin)).code);
  const bool right = end == text.size() || !is_word(utf8_at(text, end).code);
  return left && right;
}

std::size_t without_white_before(std::string_view text, std::size_t begin) {
  while (begin > 0) {
    const std::size_t previous = before(text, begin);
    if (!is_white(utf8_at(text, previous).code)) break;
    begin = previous;
  }
  return begin;
}

std::size_t without_white_after(std::string_view text, std::size_t end) {
  while (end < text.size()) {
    const Utf8Char next = utf8_at(text, end);
    if (!is_white(next.code)) break;
    end += next.size;
  }
  return end;
}

}  // namespace

std::vector<AddedToken> read_added_tokens(const Json& json, const std::string& name) {
  std::vector<AddedToken> tokens;
  std::set<int> ids;
  std::set<std::string> contents;
  int index = 0;
  for (const Json& entry : json) {
    const std::string where = name + "[" + std::to_string(index++) + "]";
    AddedToken token = read_one(entry, where);
    if (!ids.insert(token.id).second) twice(where, "id " + std::to_string(token.id) + " again");
    if (!contents.insert(token.content).second) twice(where, "'" + token.content + "' again");
    tokens.push_back(std::move(token));
  }
  return tokens;
}

AddedTokenFinder::AddedTokenFinder(const std::vector<AddedToken>& tokens, bool normalized,
                                   const Normalizer* normalizer) {
  for (const AddedToken& token : tokens) {
    if (token.normalized != normalized) continue;
    const std::string content =
        normalizer == nullptr ? token.content : normalizer->apply(token.content);
    if (content.empty()) continue;  // would be found everywhere
    tokens_.push_back(token);
    insert(content, static_cast<int>(tokens_.size()) - 1);
  }
}

void AddedTokenFinder::insert(const std::string& content, int token) {
  first_[static_cast<unsigned char>(content[0])] = true;
  std::size_t node = 0;
  for (const char byte : content) {
    const auto [next, is_new] =
        nodes_[node].next.try_emplace(static_cast<unsigned char>(byte), nodes_.size());
    node = next->second;
    if (is_new) nodes_.emplace_back();
  }
  if (nodes_[node].token < 0) nodes_[node].token = token;
}

AddedTokenFinder::Match AddedTokenFinder::longest_at(std::string_view text, std::size_t at) const {
  Match longest{.begin = at, .end = at, .token = -1};
  std::size_t node = 0;
  for (std::size_t i = at; i < text.size(); ++i) {
    const auto next = nodes_[node].next.find(static_cast<unsigned char>(text[i]));
    if (next == nodes_[node].next.end()) break;
    node = next->second;
    if (nodes_[node].token >= 0) longest = {.begin = at, .end = i + 1, .token = nodes_[node].token};
  }
  return longest;
}

AddedTokenFinder::Match AddedTokenFinder::next_match(std::string_view text,
                                                     std::size_t from) const {
  for (; from < text.size(); ++from) {
    if (!first_[static_cast<unsigned char>(text[from])]) continue;
    const Match match = longest_at(text, from);
    if (match.token >= 0) return match;
  }
  return {.begin = text.size(), .end = text.size(), .token = -1};
}

std::vector<AddedTokenFinder::Part> AddedTokenFinder::split(std::string_view text) const {
  std::vector<Part> parts;
  std::size_t done = 0;
  const auto add = [&](int id, std::size_t begin, std::size_t end) {
    if (end > begin || id >= 0)
      parts.push_back({.id = id, .text = text.substr(begin, end - begin)});
  };
  for (std::size_t from = 0; from < text.size();) {
    const Match match = next_match(text, from);
    if (match.token < 0) break;
    // The search goes on behind the content itself, even where a match is dropped or took blanks
    // along.
    from = match.end;
    const AddedToken& token = tokens_[static_cast<std::size_t>(match.token)];
    if (token.single_word && !stands_alone(text, match.begin, match.end)) continue;
    std::size_t begin = match.begin;
    std::size_t end = match.end;
    if (token.left_strip) begin = std::max(without_white_before(text, begin), done);
    if (token.right_strip) end = without_white_after(text, end);
    if (begin > done) add(-1, done, begin);
    add(token.id, begin, end);
    done = from = end;
  }
  if (done < text.size()) add(-1, done, text.size());
  return parts;
}

}  // namespace gracemoe
