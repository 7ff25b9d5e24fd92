// The kinds of statements, made by the parser.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "model/jinja/syntax.h"

namespace gracemoe::jinja {

// What a set or for statement gives a value: a name, some (a, b), or a namespace's attribute.
struct Target {
  std::vector<std::string> names;
  std::string attribute;  // names[0].attribute
};

struct Branch {
  ExpressionPtr condition;  // null: else
  Block body;
};

struct Loop {
  int line = 0;
  Target target;
  ExpressionPtr over;
  ExpressionPtr condition;  // of the elements taken; null: all
  Block body, otherwise;
};

struct Macro {
  int line = 0;
  std::string name;
  std::vector<NamedExpression> parameters;  // value: the default, null where there is none
  Block body;
};

StatementPtr plain_text(int line, std::string text);
StatementPtr print(ExpressionPtr expression);
StatementPtr branches(int line, std::vector<Branch> branches);
StatementPtr loop(Loop loop);
StatementPtr set(int line, Target target, ExpressionPtr value);
StatementPtr set_block(int line, Target target, Block body);
StatementPtr macro(Macro macro);
StatementPtr leave(Flow flow);
// The body in place: {% generation %}, which only marks what the assistant said.
StatementPtr group(int line, Block body);

}  // namespace gracemoe::jinja
