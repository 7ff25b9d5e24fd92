// A parsed template: expressions that give values, statements that write text.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "model/jinja/value.h"

namespace gracemoe::jinja {

// Names and their values; what is not found here is sought in the scope around.
struct Scope {
  Scope* around = nullptr;
  std::map<std::string, Value, std::less<>> values;
  const Value* find(std::string_view name) const;
};

constexpr int kMaxRenderDepth = 400;

// One rendering.
struct Rendering {
  std::string_view name;  // of the template
  Scope* root = nullptr;
  Scope* scope = nullptr;
  std::string* out = nullptr;
  std::int64_t work = 0;  // steps and bytes so far
  int depth = 0;          // expressions and blocks being evaluated inside each other

  // Error once a rendering has taken far more than a conversation can need: every step counts, and
  // every byte that is made.
  void spend(std::int64_t amount, int line);
  // One deeper: an Error beyond kMaxRenderDepth. The caller lowers `depth` again.
  void enter(int line);
  Place at(int line) const { return {name, line}; }
};

class Expression {
 public:
  explicit Expression(int line) : line_(line) {}
  virtual ~Expression() = default;
  Value evaluate(Rendering& r) const;
  int line() const { return line_; }

 protected:
  virtual Value compute(Rendering& r) const = 0;

 private:
  int line_;
};
using ExpressionPtr = std::unique_ptr<const Expression>;

// What goes on after a statement.
enum class Flow { kNext, kBreak, kContinue };

class Statement {
 public:
  virtual ~Statement() = default;
  virtual Flow render(Rendering& r) const = 0;
};
using StatementPtr = std::unique_ptr<const Statement>;
using Block = std::vector<StatementPtr>;
Flow render_block(const Block& block, Rendering& r, int line);

struct NamedExpression {
  std::string name;
  ExpressionPtr value;
};
// Of a call, a filter or a test.
struct ArgumentList {
  std::vector<ExpressionPtr> positional;
  std::vector<NamedExpression> named;
  Arguments evaluate(Rendering& r) const;
};

}  // namespace gracemoe::jinja
