#include "model/jinja/lexer.h"

#include <algorithm>
#include <array>

#include "model/jinja/string_literal.h"
#include "model/jinja/text.h"
#include "model/jinja/value.h"
#include "model/tokenizer/utf8.h"

namespace gracemoe::jinja {
namespace {

bool begins_name(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}
bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// Longer ones first.
constexpr std::array<std::string_view, 25> kOperators{
    "//", "**", "==", "!=", "<=", ">=", "+", "-", "*", "/", "%", "~", "<",
    ">",  "=",  ".",  ",",  ":",  "|",  "(", ")", "[", "]", "{", "}"};

class Lexer {
 public:
  Lexer(std::string_view source, std::string_view name)
      : source_(with_unix_newlines(source)), name_(name), rest_(source_) {
    if (rest_.ends_with('\n')) rest_.remove_suffix(1);  // as Jinja does
  }

  std::vector<Token> run() {
    while (true) {
      const std::size_t tag = next_tag();
      add_text(tag);
      if (tag == rest_.npos) break;
      advance(tag);
      const char kind = rest_[1];
      advance(2);
      if (starts_with_any("-+")) advance(1);
      if (kind == '#')
        skip_comment();
      else
        lex_tag(kind == '%');
    }
    add(TokenKind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  Place here() const { return {name_, line_}; }
  void add(TokenKind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
  bool starts_with_any(std::string_view chars) const {
    return !rest_.empty() && chars.find(rest_[0]) != chars.npos;
  }
  void advance(std::size_t count) {
    line_ += static_cast<int>(
        std::count(rest_.begin(), rest_.begin() + static_cast<std::ptrdiff_t>(count), '\n'));
    rest_.remove_prefix(count);
  }

  std::size_t next_tag() const {
    for (std::size_t at = rest_.find('{'); at != rest_.npos; at = rest_.find('{', at + 1))
      if (at + 1 < rest_.size() && std::string_view("%{#").find(rest_[at + 1]) != rest_.npos)
        return at;
    return rest_.npos;
  }

  // The text before a tag, without what the tag takes away of it.
  void add_text(std::size_t tag) {
    std::string_view text = rest_.substr(0, tag);
    if (tag != rest_.npos) {
      const char sign = tag + 2 < rest_.size() ? rest_[tag + 2] : ' ';
      if (sign == '-')
        text = strip_right(text, {});
      else if (sign != '+' && rest_[tag + 1] != '{')
        text = without_indent(text);
    }
    if (!text.empty()) add(TokenKind::kText, std::string(text));
    if (tag == rest_.npos) advance(rest_.size());
  }

  // lstrip_blocks: blanks between the line's start and a block.
  std::string_view without_indent(std::string_view text) const {
    const std::size_t newline = text.rfind('\n');
    if (newline == text.npos && !line_starts_) return text;
    const std::size_t start = newline == text.npos ? 0 : newline + 1;
    return strip_left(text.substr(start), {}).empty() ? text.substr(0, start) : text;
  }

  void skip_comment() {
    const std::size_t end = rest_.find("#}");
    if (end == rest_.npos) fail_at(here(), "a comment", "no end", "'#}'");
    const char sign = end > 0 ? rest_[end - 1] : ' ';
    advance(end + 2);
    after_tag(sign, true);
  }

  // What the end of a tag takes away of the text behind it.
  void after_tag(char sign, bool trims) {
    line_starts_ = false;
    if (sign == '-') {
      const std::size_t blanks = rest_.size() - strip_left(rest_, {}).size();
      line_starts_ = blanks > 0 && rest_[blanks - 1] == '\n';
      advance(blanks);
    } else if (trims && sign != '+' && rest_.starts_with('\n')) {
      advance(1);
      line_starts_ = true;
    }
  }

  void lex_tag(bool block) {
    add(block ? TokenKind::kBlockBegin : TokenKind::kPrintBegin, "");
    open_.clear();
    const int begun = line_;
    while (true) {
      advance(rest_.size() - strip_left(rest_, {}).size());
      if (rest_.empty()) fail_at({name_, begun}, "a tag", "no end", block ? "'%}'" : "'}}'");
      if (open_.empty() && ends_tag(block)) return;
      lex_word();
    }
  }

  bool ends_tag(bool block) {
    const std::size_t sign = starts_with_any(block ? "-+" : "-") ? 1 : 0;
    if (!rest_.substr(sign).starts_with(block ? "%}" : "}}")) return false;
    add(block ? TokenKind::kBlockEnd : TokenKind::kPrintEnd, "");
    const char first = rest_[0];
    advance(sign + 2);
    after_tag(first, block);
    return true;
  }

  void lex_word() {
    if (begins_name(rest_[0])) return lex_name();
    if (is_digit(rest_[0])) return lex_number();
    if (rest_[0] == '\'' || rest_[0] == '"') return lex_string();
    for (const std::string_view symbol : kOperators) {
      if (!rest_.starts_with(symbol)) continue;
      add(TokenKind::kOperator, std::string(symbol));
      balance(symbol[0]);
      return advance(symbol.size());
    }
    const std::size_t size = utf8_at(rest_, 0).size;
    fail_at(here(), "a tag", "'" + std::string(rest_.substr(0, size)) + "'",
            "names, numbers, strings and operators");
  }

  void balance(char symbol) {
    if (symbol == '(' || symbol == '[' || symbol == '{') open_ += symbol;
    if (symbol != ')' && symbol != ']' && symbol != '}') return;
    const char wanted = symbol == ')' ? '(' : symbol == ']' ? '[' : '{';
    if (open_.empty() || open_.back() != wanted)
      fail_at(here(), "brackets", std::string("'") + symbol + "' that closes nothing", "pairs");
    open_.pop_back();
  }

  void lex_name() {
    std::size_t end = 1;
    while (end < rest_.size() && (begins_name(rest_[end]) || is_digit(rest_[end]))) ++end;
    add(TokenKind::kName, std::string(rest_.substr(0, end)));
    advance(end);
  }

  // Where the digits of an exponent begin that stands at `at`; 0 where none does.
  std::size_t exponent_digits(std::size_t at) const {
    if (at >= rest_.size() || (rest_[at] != 'e' && rest_[at] != 'E')) return 0;
    ++at;
    if (at < rest_.size() && (rest_[at] == '+' || rest_[at] == '-')) ++at;
    return at < rest_.size() && is_digit(rest_[at]) ? at : 0;
  }

  void lex_number() {
    std::size_t end = 0;
    const auto skip_digits = [&] {
      while (end < rest_.size() && is_digit(rest_[end])) ++end;
    };
    skip_digits();
    bool fraction = false;
    if (end + 1 < rest_.size() && rest_[end] == '.' && is_digit(rest_[end + 1])) {
      fraction = true;
      ++end;
      skip_digits();
    }
    if (const std::size_t digits = exponent_digits(end); digits > 0) {
      fraction = true;
      end = digits;
      skip_digits();
    }
    if (end < rest_.size() && begins_name(rest_[end]))
      fail_at(here(), "a number", "'" + std::string(rest_.substr(0, end + 1)) + "'",
              "decimal digits, with fraction and exponent or without");
    add(fraction ? TokenKind::kFloat : TokenKind::kInteger, std::string(rest_.substr(0, end)));
    advance(end);
  }

  void lex_string() {
    const char quote = rest_[0];
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != quote) end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size())
      fail_at(here(), "a string", "no end", std::string("a second ") + quote);
    add(TokenKind::kString, string_value(rest_.substr(1, end - 1), here()));
    advance(end + 1);
  }

  std::string source_;
  std::string_view name_;
  std::string_view rest_;
  int line_ = 1;
  bool line_starts_ = true;  // only blanks may stand between the line's start and rest_
  std::string open_;         // brackets of the present tag
  std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> lex(std::string_view source, std::string_view name) {
  return Lexer(source, name).run();
}

}  // namespace gracemoe::jinja
