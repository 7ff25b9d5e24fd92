#include "model/jinja/parser.h"

#include <algorithm>
#include <initializer_list>

#include "model/jinja/expression_parser.h"
#include "model/jinja/statements.h"

namespace gracemoe::jinja {
namespace {

class Parser {
 public:
  Parser(std::vector<Token> tokens, std::string_view name)
      : tokens_(std::move(tokens), name), expressions_(tokens_) {}

  Block run() {
    Block all = block({});
    if (!tokens_.at(TokenKind::kEnd)) tokens_.unexpected("the template's end");
    return all;
  }

 private:
  bool at_any(std::initializer_list<const char*> names) const {
    return std::any_of(names.begin(), names.end(), [&](const char* one) {
      return tokens_.peek(1).kind == TokenKind::kName && tokens_.peek(1).text == one;
    });
  }

  // Statements up to a tag that begins with one of these names, or the template's end.
  Block block(std::initializer_list<const char*> ends) {
    const Nesting nesting(level_, tokens_.place());
    Block statements;
    while (!tokens_.at(TokenKind::kEnd)) {
      if (tokens_.at(TokenKind::kBlockBegin) && at_any(ends)) break;
      statements.push_back(statement());
    }
    return statements;
  }

  StatementPtr statement() {
    Token first = tokens_.take();
    if (first.kind == TokenKind::kText) return plain_text(first.line, std::move(first.text));
    if (first.kind == TokenKind::kPrintBegin) {
      ExpressionPtr value = expressions_.tuple();
      tokens_.expect(TokenKind::kPrintEnd, "'}}'");
      return print(std::move(value));
    }
    return tag();
  }

  StatementPtr tag() {
    const Place at = tokens_.place();
    const std::string word = tokens_.expect(TokenKind::kName, "a statement").text;
    if (word == "if") return conditional(at.line);
    if (word == "for") return for_loop(at.line);
    if (word == "set") return assignment(at.line);
    if (word == "macro") return definition(at);
    if (word == "break" || word == "continue") return leaving(word, at);
    if (word == "generation") {
      close();
      Block body = block({"endgeneration"});
      end("endgeneration");
      return group(at.line, std::move(body));
    }
    fail_at(at, "a statement", "'" + word + "'",
            "if, for, set, macro, break, continue or generation",
            "this template needs a part of Jinja that gracemoe does not have");
  }

  void close() { tokens_.expect(TokenKind::kBlockEnd, "'%}'"); }
  // {% name %}
  void end(const std::string& name) {
    tokens_.expect(TokenKind::kBlockBegin, "{% " + name + " %}");
    if (!tokens_.skip_name(name)) tokens_.unexpected(name);
    close();
  }

  StatementPtr conditional(int line) {
    std::vector<Branch> all;
    bool last = false;
    ExpressionPtr condition = expressions_.tuple();
    while (true) {
      close();
      Block body = last ? block({"endif"}) : block({"elif", "else", "endif"});
      all.push_back({std::move(condition), std::move(body)});
      tokens_.expect(TokenKind::kBlockBegin, "{% endif %}");
      if (tokens_.skip_name("endif")) break;
      last = tokens_.skip_name("else");
      if (!last) tokens_.take();  // elif
      condition = last ? nullptr : expressions_.tuple();
    }
    close();
    return branches(line, std::move(all));
  }

  Target target() {
    Target result;
    const bool parenthesis = tokens_.skip_operator("(");
    do {
      const Place at = tokens_.place();
      result.names.push_back(tokens_.expect(TokenKind::kName, "a name").text);
      const std::string& name = result.names.back();
      for (const char* word : {"true", "false", "none", "True", "False", "None", "not", "loop"})
        if (name == word) fail_at(at, "setting a value", "'" + name + "'", "another name");
    } while (tokens_.skip_operator(","));
    if (parenthesis) tokens_.expect_operator(")");
    return result;
  }

  StatementPtr for_loop(int line) {
    Loop result;
    result.line = line;
    result.target = target();
    if (!tokens_.skip_name("in")) tokens_.unexpected("'in'");
    result.over = expressions_.without_condition();
    if (tokens_.skip_name("if")) result.condition = expressions_.expression();
    close();
    ++loops_;
    result.body = block({"else", "endfor"});
    --loops_;
    tokens_.expect(TokenKind::kBlockBegin, "{% endfor %}");
    if (tokens_.skip_name("else")) {
      close();
      result.otherwise = block({"endfor"});
      tokens_.expect(TokenKind::kBlockBegin, "{% endfor %}");
    }
    if (!tokens_.skip_name("endfor")) tokens_.unexpected("endfor");
    close();
    return loop(std::move(result));
  }

  StatementPtr assignment(int line) {
    Target result = target();
    if (result.names.size() == 1 && tokens_.skip_operator("."))
      result.attribute = tokens_.expect(TokenKind::kName, "an attribute's name").text;
    if (tokens_.skip_operator("=")) {
      ExpressionPtr value = expressions_.tuple();
      close();
      return set(line, std::move(result), std::move(value));
    }
    if (!tokens_.at(TokenKind::kBlockEnd)) tokens_.unexpected("'=' or '%}'");
    close();
    const int loops = std::exchange(loops_, 0);
    Block body = block({"endset"});
    loops_ = loops;
    end("endset");
    return set_block(line, std::move(result), std::move(body));
  }

  StatementPtr definition(const Place& at) {
    if (level_ > 1)
      fail_at(at, "a macro", "one inside of another statement", "macros outside of all others");
    Macro result;
    result.line = at.line;
    result.name = tokens_.expect(TokenKind::kName, "the macro's name").text;
    tokens_.expect_operator("(");
    while (!tokens_.at_operator(")")) {
      std::string name = tokens_.expect(TokenKind::kName, "a parameter's name").text;
      ExpressionPtr value = tokens_.skip_operator("=") ? expressions_.expression() : nullptr;
      result.parameters.push_back({std::move(name), std::move(value)});
      if (!tokens_.skip_operator(",")) break;
    }
    tokens_.expect_operator(")");
    close();
    result.body = block({"endmacro"});
    end("endmacro");
    return macro(std::move(result));
  }

  StatementPtr leaving(const std::string& word, const Place& at) {
    if (loops_ == 0) fail_at(at, word, "none around it", "a for loop");
    close();
    return leave(word == "break" ? Flow::kBreak : Flow::kContinue);
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  int level_ = 0;  // blocks inside of each other
  int loops_ = 0;  // for loops inside of each other
};

}  // namespace

Block parse(std::string_view source, std::string_view name) {
  return Parser(lex(source, name), name).run();
}

}  // namespace gracemoe::jinja
