#include "model/jinja/expression_parser.h"

#include <algorithm>
#include <charconv>

namespace gracemoe::jinja {
namespace {

constexpr int kMaxSize = 1000;

}  // namespace

void ExpressionParser::grow() {
  if (++size_ > kMaxSize)
    fail_at(tokens_.place(), "an expression", "more than " + std::to_string(kMaxSize) + " parts",
            "fewer");
}

std::string ExpressionParser::skip_any(std::initializer_list<const char*> symbols) {
  for (const char* symbol : symbols) {
    if (!tokens_.skip_operator(symbol)) continue;
    grow();
    return symbol;
  }
  return "";
}

ExpressionPtr ExpressionParser::tuple() {
  const int line = tokens_.peek().line;
  size_ = 0;
  std::vector<ExpressionPtr> items;
  items.push_back(expression());
  if (!tokens_.at_operator(",")) return std::move(items[0]);
  while (tokens_.skip_operator(",")) {
    if (tokens_.at(TokenKind::kBlockEnd) || tokens_.at(TokenKind::kPrintEnd)) break;
    items.push_back(expression());
  }
  return list_of(line, std::move(items), true);
}

ExpressionPtr ExpressionParser::expression() {
  const Nesting nesting(level_, tokens_.place());
  const int line = tokens_.peek().line;
  ExpressionPtr value = without_condition();
  while (tokens_.skip_name("if")) {
    grow();
    ExpressionPtr condition = without_condition();
    ExpressionPtr otherwise = tokens_.skip_name("else") ? expression() : nullptr;
    value = conditional(line, std::move(condition), std::move(value), std::move(otherwise));
  }
  return value;
}

ExpressionPtr ExpressionParser::without_condition() {
  ExpressionPtr left = conjunction();
  while (tokens_.at_name("or")) {
    const int line = tokens_.take().line;
    grow();
    left = logical(line, false, std::move(left), conjunction());
  }
  return left;
}

ExpressionPtr ExpressionParser::conjunction() {
  ExpressionPtr left = negation();
  while (tokens_.at_name("and")) {
    const int line = tokens_.take().line;
    grow();
    left = logical(line, true, std::move(left), negation());
  }
  return left;
}

ExpressionPtr ExpressionParser::negation() {
  if (!tokens_.at_name("not")) return comparisons();
  const Nesting nesting(level_, tokens_.place());
  const int line = tokens_.take().line;
  return logical_not(line, negation());
}

ExpressionPtr ExpressionParser::comparisons() {
  const int line = tokens_.peek().line;
  std::vector<std::string> symbols;
  std::vector<ExpressionPtr> operands;
  operands.push_back(sum());
  while (true) {
    std::string symbol = skip_any({"==", "!=", "<=", ">=", "<", ">"});
    if (symbol.empty() && tokens_.skip_name("in")) symbol = "in";
    const bool not_in = symbol.empty() && tokens_.at_name("not") &&
                        tokens_.peek(1).kind == TokenKind::kName && tokens_.peek(1).text == "in";
    if (not_in) {
      tokens_.take();
      tokens_.take();
      symbol = "not in";
    }
    if (symbol.empty()) break;
    symbols.push_back(std::move(symbol));
    operands.push_back(sum());
  }
  if (symbols.empty()) return std::move(operands[0]);
  return comparison(line, std::move(symbols), std::move(operands));
}

ExpressionPtr ExpressionParser::sum() {
  ExpressionPtr left = concatenation();
  while (true) {
    const int line = tokens_.peek().line;
    std::string symbol = skip_any({"+", "-"});
    if (symbol.empty()) return left;
    left = arithmetic(line, std::move(symbol), std::move(left), concatenation());
  }
}

ExpressionPtr ExpressionParser::concatenation() {
  ExpressionPtr left = product();
  while (true) {
    const int line = tokens_.peek().line;
    std::string symbol = skip_any({"~"});
    if (symbol.empty()) return left;
    left = arithmetic(line, std::move(symbol), std::move(left), product());
  }
}

ExpressionPtr ExpressionParser::product() {
  ExpressionPtr left = power();
  while (true) {
    const int line = tokens_.peek().line;
    std::string symbol = skip_any({"*", "/", "//", "%"});
    if (symbol.empty()) return left;
    left = arithmetic(line, std::move(symbol), std::move(left), power());
  }
}

ExpressionPtr ExpressionParser::power() {
  ExpressionPtr left = unary(true);
  while (true) {
    const int line = tokens_.peek().line;
    std::string symbol = skip_any({"**"});
    if (symbol.empty()) return left;
    left = arithmetic(line, std::move(symbol), std::move(left), unary(true));
  }
}

ExpressionPtr ExpressionParser::unary(bool with_filters) {
  const Nesting nesting(level_, tokens_.place());
  const int line = tokens_.peek().line;
  const std::string sign = skip_any({"-", "+"});
  ExpressionPtr operand =
      sign.empty() ? postfix(primary()) : negative(line, unary(false), sign == "-");
  return with_filters ? filters(std::move(operand)) : std::move(operand);
}

ExpressionPtr ExpressionParser::primary() {
  const Token& next = tokens_.peek();
  if (next.kind == TokenKind::kInteger || next.kind == TokenKind::kFloat) return number();
  if (next.kind == TokenKind::kString) {
    const int line = next.line;
    std::string text = tokens_.take().text;
    while (tokens_.at(TokenKind::kString)) text += tokens_.take().text;
    return literal(line, std::move(text));
  }
  if (tokens_.at_operator("(")) return parenthesis();
  if (tokens_.at_operator("[")) return bracketed_list();
  if (tokens_.at_operator("{")) return mapping();
  if (next.kind != TokenKind::kName) tokens_.unexpected("a value");
  Token word = tokens_.take();
  if (word.text == "true" || word.text == "True") return literal(word.line, true);
  if (word.text == "false" || word.text == "False") return literal(word.line, false);
  if (word.text == "none" || word.text == "None") return literal(word.line, None{});
  return name(word.line, std::move(word.text));
}

ExpressionPtr ExpressionParser::number() {
  const Place at = tokens_.place();
  const Token token = tokens_.take();
  const char* begin = token.text.data();
  const char* end = begin + token.text.size();
  std::int64_t whole = 0;
  double fraction = 0;
  const auto result = token.kind == TokenKind::kInteger ? std::from_chars(begin, end, whole)
                                                        : std::from_chars(begin, end, fraction);
  if (result.ec != std::errc()) fail_at(at, "a number", token.text, "one of 64 bits");
  return literal(at.line, token.kind == TokenKind::kInteger ? Value(whole) : Value(fraction));
}

ExpressionPtr ExpressionParser::parenthesis() {
  const int line = tokens_.take().line;
  std::vector<ExpressionPtr> items;
  bool comma = false;
  while (!tokens_.at_operator(")")) {
    items.push_back(expression());
    if (!tokens_.skip_operator(",")) break;
    comma = true;
  }
  tokens_.expect_operator(")");
  if (items.size() == 1 && !comma) return std::move(items[0]);
  return list_of(line, std::move(items), true);
}

ExpressionPtr ExpressionParser::bracketed_list() {
  const int line = tokens_.take().line;
  std::vector<ExpressionPtr> items;
  while (!tokens_.at_operator("]")) {
    items.push_back(expression());
    if (!tokens_.skip_operator(",")) break;
  }
  tokens_.expect_operator("]");
  return list_of(line, std::move(items), false);
}

ExpressionPtr ExpressionParser::mapping() {
  const int line = tokens_.take().line;
  std::vector<ExpressionPtr> items;
  while (!tokens_.at_operator("}")) {
    items.push_back(expression());
    tokens_.expect_operator(":");
    items.push_back(expression());
    if (!tokens_.skip_operator(",")) break;
  }
  tokens_.expect_operator("}");
  return dict_of(line, std::move(items));
}

ExpressionPtr ExpressionParser::postfix(ExpressionPtr operand) {
  while (true) {
    const int line = tokens_.peek().line;
    if (tokens_.at_operator(".")) {
      operand = member(std::move(operand));
    } else if (tokens_.at_operator("[")) {
      operand = element(std::move(operand));
    } else if (tokens_.at_operator("(")) {
      operand = call(line, std::move(operand), arguments());
    } else {
      return operand;
    }
    grow();
  }
}

ExpressionPtr ExpressionParser::member(ExpressionPtr object) {
  const int line = tokens_.take().line;
  if (tokens_.at(TokenKind::kInteger)) return subscript(line, std::move(object), number());
  return attribute(line, std::move(object),
                   tokens_.expect(TokenKind::kName, "an attribute's name").text);
}

ExpressionPtr ExpressionParser::element(ExpressionPtr object) {
  const int line = tokens_.take().line;
  std::vector<ExpressionPtr> parts;  // of a slice, null where left out
  bool is_slice = false;
  for (bool more = true; more && parts.size() < 3; is_slice |= more) {
    const bool empty = tokens_.at_operator(":") || tokens_.at_operator("]");
    parts.push_back(empty ? nullptr : expression());
    more = tokens_.skip_operator(":");
  }
  tokens_.expect_operator("]");
  if (!is_slice) {
    if (parts[0] == nullptr) fail_at(tokens_.place(), "syntax", "'[]'", "an index");
    return subscript(line, std::move(object), std::move(parts[0]));
  }
  parts.resize(3);
  return slice(line, std::move(object), std::move(parts[0]), std::move(parts[1]),
               std::move(parts[2]));
}

ExpressionPtr ExpressionParser::filters(ExpressionPtr operand) {
  while (true) {
    if (tokens_.skip_operator("|")) {
      const Place at = tokens_.place();
      std::string name = tokens_.expect(TokenKind::kName, "a filter's name").text;
      ArgumentList list = tokens_.at_operator("(") ? arguments() : ArgumentList{};
      operand = filter(at, std::move(operand), std::move(name), std::move(list));
    } else if (tokens_.at_name("is")) {
      operand = tested(std::move(operand));
    } else if (tokens_.at_operator("(")) {
      const int line = tokens_.peek().line;
      operand = call(line, std::move(operand), arguments());
    } else {
      return operand;
    }
    grow();
  }
}

ExpressionPtr ExpressionParser::tested(ExpressionPtr operand) {
  tokens_.take();
  const bool negated = tokens_.skip_name("not");
  const Place at = tokens_.place();
  std::string name = tokens_.expect(TokenKind::kName, "a test's name").text;
  ArgumentList list;
  const Token& next = tokens_.peek();
  const bool word = next.kind == TokenKind::kName && next.text != "else" && next.text != "or" &&
                    next.text != "and" && next.text != "is" && next.text != "if" &&
                    next.text != "in" && next.text != "not";
  const bool value = next.kind == TokenKind::kString || next.kind == TokenKind::kInteger ||
                     next.kind == TokenKind::kFloat || tokens_.at_operator("[") ||
                     tokens_.at_operator("{");
  if (tokens_.at_operator("("))
    list = arguments();
  else if (word || value)
    list.positional.push_back(postfix(primary()));
  ExpressionPtr result = test(at, std::move(operand), std::move(name), std::move(list));
  return negated ? logical_not(at.line, std::move(result)) : std::move(result);
}

ArgumentList ExpressionParser::arguments() {
  tokens_.take();
  ArgumentList list;
  while (!tokens_.at_operator(")")) {
    if (tokens_.at(TokenKind::kName) && tokens_.peek(1).kind == TokenKind::kOperator &&
        tokens_.peek(1).text == "=") {
      std::string name = tokens_.take().text;
      tokens_.take();
      const auto same = [&](const NamedExpression& one) { return one.name == name; };
      if (std::any_of(list.named.begin(), list.named.end(), same))
        fail_at(tokens_.place(), "arguments", name + " twice", "each once");
      list.named.push_back({std::move(name), expression()});
    } else if (!list.named.empty()) {
      tokens_.unexpected("name=value, after other such");
    } else {
      list.positional.push_back(expression());
    }
    if (!tokens_.skip_operator(",")) break;
  }
  tokens_.expect_operator(")");
  return list;
}

}  // namespace gracemoe::jinja
