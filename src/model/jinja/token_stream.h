// The tokens of a template, read from the front, and the bounds of what is read.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "model/jinja/lexer.h"
#include "model/jinja/value.h"

namespace gracemoe::jinja {

class TokenStream {
 public:
  TokenStream(std::vector<Token> tokens, std::string_view name)
      : tokens_(std::move(tokens)), name_(name) {}

  const Token& peek(std::size_t ahead = 0) const;
  Token take();
  bool at(TokenKind kind) const { return peek().kind == kind; }
  bool at_operator(std::string_view symbol) const;
  bool at_name(std::string_view name) const;
  // Takes it if it is next.
  bool skip_operator(std::string_view symbol);
  bool skip_name(std::string_view name);
  // Errors where something else comes.
  Token expect(TokenKind kind, const std::string& wanted);
  void expect_operator(std::string_view symbol);
  Place place() const { return {name_, peek().line}; }
  [[noreturn]] void unexpected(const std::string& wanted) const;

 private:
  std::vector<Token> tokens_;
  std::string_view name_;
  std::size_t next_ = 0;
};

// Counts levels while it lives; an Error beyond kMaxNesting.
class Nesting {
 public:
  static constexpr int kMaxNesting = 60;
  Nesting(int& level, const Place& at);
  ~Nesting() { --level_; }
  Nesting(const Nesting&) = delete;
  Nesting& operator=(const Nesting&) = delete;

 private:
  int& level_;
};

}  // namespace gracemoe::jinja
