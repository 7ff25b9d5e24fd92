#include "model/jinja/token_stream.h"

#include <algorithm>

namespace gracemoe::jinja {
namespace {

std::string shown(const Token& token) {
  switch (token.kind) {
    case TokenKind::kText:
      return "text";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kPrintBegin:
      return "'{{'";
    case TokenKind::kPrintEnd:
      return "'}}'";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kEnd:
      return "the template's end";
    default:
      return "'" + token.text + "'";
  }
}

}  // namespace

const Token& TokenStream::peek(std::size_t ahead) const {
  return tokens_[std::min(next_ + ahead, tokens_.size() - 1)];
}

Token TokenStream::take() {
  Token token = peek();
  if (next_ + 1 < tokens_.size()) ++next_;
  return token;
}

bool TokenStream::at_operator(std::string_view symbol) const {
  return at(TokenKind::kOperator) && peek().text == symbol;
}
bool TokenStream::at_name(std::string_view name) const {
  return at(TokenKind::kName) && peek().text == name;
}

bool TokenStream::skip_operator(std::string_view symbol) {
  if (!at_operator(symbol)) return false;
  take();
  return true;
}
bool TokenStream::skip_name(std::string_view name) {
  if (!at_name(name)) return false;
  take();
  return true;
}

Token TokenStream::expect(TokenKind kind, const std::string& wanted) {
  if (!at(kind)) unexpected(wanted);
  return take();
}
void TokenStream::expect_operator(std::string_view symbol) {
  if (!skip_operator(symbol)) unexpected("'" + std::string(symbol) + "'");
}

void TokenStream::unexpected(const std::string& wanted) const {
  fail_at(place(), "syntax", shown(peek()), wanted);
}

Nesting::Nesting(int& level, const Place& at) : level_(level) {
  if (++level_ > kMaxNesting) {
    --level_;
    fail_at(at, "syntax", "more than " + std::to_string(kMaxNesting) + " levels of nesting",
            "fewer");
  }
}

}  // namespace gracemoe::jinja
