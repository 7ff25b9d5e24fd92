// Expressions, with Jinja's precedence.
#pragma once
#include "model/jinja/expressions.h"
#include "model/jinja/token_stream.h"

namespace gracemoe::jinja {

class ExpressionParser {
 public:
  explicit ExpressionParser(TokenStream& tokens) : tokens_(tokens) {}

  // One expression; with commas, a tuple.
  ExpressionPtr tuple();
  ExpressionPtr expression();
  // One without "a if b": what a for statement goes over.
  ExpressionPtr without_condition();

 private:
  ExpressionPtr conjunction();
  ExpressionPtr negation();
  ExpressionPtr comparisons();
  ExpressionPtr sum();
  ExpressionPtr concatenation();
  ExpressionPtr product();
  ExpressionPtr power();
  ExpressionPtr unary(bool with_filters);
  ExpressionPtr primary();
  ExpressionPtr parenthesis();
  ExpressionPtr bracketed_list();
  ExpressionPtr mapping();
  ExpressionPtr number();
  ExpressionPtr postfix(ExpressionPtr operand);
  ExpressionPtr member(ExpressionPtr object);
  ExpressionPtr element(ExpressionPtr object);
  ExpressionPtr filters(ExpressionPtr operand);
  ExpressionPtr tested(ExpressionPtr operand);
  ArgumentList arguments();
  // An operator of one of these symbols, or nothing.
  std::string skip_any(std::initializer_list<const char*> symbols);
  // Bounds how deep the tree of one expression can become by chains such as a + b + c.
  void grow();

  TokenStream& tokens_;
  int level_ = 0;
  int size_ = 0;
};

}  // namespace gracemoe::jinja
