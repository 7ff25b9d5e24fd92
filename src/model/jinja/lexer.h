// A template's text as tokens: plain text with Jinja's rules for white space applied already, and
// the words inside of tags.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace gracemoe::jinja {

enum class TokenKind {
  kText,
  kBlockBegin,  // {%
  kBlockEnd,
  kPrintBegin,  // {{
  kPrintEnd,
  kName,
  kString,  // its value, escapes replaced
  kInteger,
  kFloat,
  kOperator,
  kEnd
};

struct Token {
  TokenKind kind = TokenKind::kEnd;
  std::string text;
  int line = 1;
};

// With trim_blocks and lstrip_blocks, as chat templates are rendered; comments are gone. The last
// token is kEnd. Errors (kInput), with `name` and the line: a tag or string without an end, a
// character that begins nothing, an escape that we do not know.
std::vector<Token> lex(std::string_view source, std::string_view name);

}  // namespace gracemoe::jinja
