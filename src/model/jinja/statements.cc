#include "model/jinja/statements.h"

#include <algorithm>

#include "model/jinja/builtins.h"

namespace gracemoe::jinja {
namespace {

constexpr std::int64_t kLoopStep = 1024;  // bytes of work: what `loop` tells is made anew

template <typename Render>
class Rendered : public Statement {
 public:
  explicit Rendered(Render render) : render_(std::move(render)) {}
  Flow render(Rendering& r) const override { return render_(r); }

 private:
  Render render_;
};

template <typename Render>
StatementPtr rendered(Render render) {
  return std::make_unique<Rendered<Render>>(std::move(render));
}

void write(Rendering& r, const std::string& text, int line) {
  r.spend(static_cast<std::int64_t>(text.size()), line);
  *r.out += text;
}

// Puts a scope around what is rendered while it lives.
class InScope {
 public:
  InScope(Rendering& r, Scope* around) : r_(r), before_(r.scope) {
    scope_.around = around;
    r.scope = &scope_;
  }
  ~InScope() { r_.scope = before_; }
  InScope(const InScope&) = delete;
  InScope& operator=(const InScope&) = delete;
  Scope& scope() { return scope_; }

 private:
  Rendering& r_;
  Scope* before_;
  Scope scope_;
};

// Collects what is written while it lives.
class Collecting {
 public:
  explicit Collecting(Rendering& r) : r_(r), before_(r.out) { r.out = &text_; }
  ~Collecting() { r_.out = before_; }
  Collecting(const Collecting&) = delete;
  Collecting& operator=(const Collecting&) = delete;
  std::string take() { return std::move(text_); }

 private:
  Rendering& r_;
  std::string* before_;
  std::string text_;
};

void refuse_function(const Value& value, const std::string& name, const Place& at) {
  if (value.callable() != nullptr)
    fail_at(at, "setting " + name, kind_of(value), "a value: functions may only be called");
}

void assign_attribute(const Target& target, const Value& value, Rendering& r, const Place& at) {
  const Value* object = r.scope->find(target.names[0]);
  Namespace* space = object == nullptr ? nullptr : object->name_space();
  const std::string name = target.names[0] + "." + target.attribute;
  if (space == nullptr || space->fixed)
    fail_at(at, "setting " + name, object == nullptr ? "no " + target.names[0] : kind_of(*object),
            "a namespace");
  if (value.name_space() != nullptr) fail_at(at, "setting " + name, "a namespace", "a value");
  space->items[target.attribute] = value;
}

void assign(const Target& target, const Value& value, Rendering& r, const Place& at) {
  refuse_function(value, target.names[0], at);
  if (!target.attribute.empty()) return assign_attribute(target, value, r, at);
  if (target.names.size() == 1) {
    r.scope->values[target.names[0]] = value;
    return;
  }
  const std::vector<Value> parts = elements(value, at);
  if (parts.size() != target.names.size())
    fail_at(at, "unpacking", std::to_string(parts.size()) + " elements",
            std::to_string(target.names.size()));
  for (std::size_t i = 0; i < parts.size(); ++i) r.scope->values[target.names[i]] = parts[i];
}

// The elements to visit: those that pass the condition.
std::vector<Value> visited(const Loop& loop, Rendering& r, const Place& at) {
  std::vector<Value> all = elements(loop.over->evaluate(r), at);
  r.spend(static_cast<std::int64_t>(all.size()) * 16, at.line);
  if (loop.condition == nullptr) return all;
  std::vector<Value> some;
  for (Value& item : all) {
    InScope inside(r, r.scope);
    assign(loop.target, item, r, at);
    if (truth(loop.condition->evaluate(r))) some.push_back(std::move(item));
  }
  return some;
}

// What `loop` has in Jinja and not here: never taken for missing.
const std::vector<std::pair<std::string, Value>>& refused_of_loop() {
  static const auto kRefused = [] {
    std::vector<std::pair<std::string, Value>> refused;
    for (const char* name : {"cycle", "changed"}) {
      const auto refuse = [name](const Arguments&, const Place& at) -> Value {
        fail_at(at, "a method", std::string("loop.") + name, "one of the other values of loop",
                "a part of Jinja that gracemoe does not have");
      };
      refused.emplace_back(
          name, std::make_shared<const Callable>(Callable{std::string("loop.") + name, refuse}));
    }
    return refused;
  }();
  return kRefused;
}

// What `loop` tells inside of a for. The depth is of recursive loops, which there are none of.
Value loop_state(const std::vector<Value>& items, std::size_t i) {
  const auto index = static_cast<std::int64_t>(i);
  const auto size = static_cast<std::int64_t>(items.size());
  auto state = std::make_shared<Namespace>();
  state->fixed = true;
  state->items = {{"index", index + 1},
                  {"index0", index},
                  {"revindex", size - index},
                  {"revindex0", size - index - 1},
                  {"first", index == 0},
                  {"last", index + 1 == size},
                  {"length", size},
                  {"depth", 1},
                  {"depth0", 0}};
  state->items["previtem"] = i > 0 ? items[i - 1] : Value(Undefined{"loop.previtem"});
  state->items["nextitem"] =
      i + 1 < items.size() ? items[i + 1] : Value(Undefined{"loop.nextitem"});
  state->items.insert(refused_of_loop().begin(), refused_of_loop().end());
  return state;
}

Flow render_loop(const Loop& loop, Rendering& r) {
  const Place at = r.at(loop.line);
  const std::vector<Value> items = visited(loop, r, at);
  if (items.empty()) {
    InScope inside(r, r.scope);
    return render_block(loop.otherwise, r, loop.line);
  }
  for (std::size_t i = 0; i < items.size(); ++i) {
    r.spend(kLoopStep, loop.line);
    InScope inside(r, r.scope);
    inside.scope().values["loop"] = loop_state(items, i);
    assign(loop.target, items[i], r, at);
    if (render_block(loop.body, r, loop.line) == Flow::kBreak) break;
  }
  return Flow::kNext;
}

std::string render_macro(const Macro& macro, Rendering& r, const Arguments& arguments,
                         const Place& at) {
  InScope inside(r, r.root);
  ArgumentReader reader(arguments, "macro " + macro.name, at);
  for (const NamedExpression& parameter : macro.parameters) {
    Value& place = inside.scope().values[parameter.name];
    place = Undefined{parameter.name};
    if (const Value* given = reader.next(parameter.name)) {
      refuse_function(*given, parameter.name, at);
      place = *given;
    } else if (parameter.value != nullptr) {
      place = parameter.value->evaluate(r);
    }
  }
  reader.done();
  Collecting collecting(r);
  render_block(macro.body, r, macro.line);
  return collecting.take();
}

}  // namespace

StatementPtr plain_text(int line, std::string text) {
  return rendered([line, text = std::move(text)](Rendering& r) {
    write(r, text, line);
    return Flow::kNext;
  });
}

StatementPtr print(ExpressionPtr expression) {
  return rendered([expression = std::move(expression)](Rendering& r) {
    const Value value = expression->evaluate(r);
    write(r, to_text(value, r.at(expression->line())), expression->line());
    return Flow::kNext;
  });
}

StatementPtr branches(int line, std::vector<Branch> all) {
  return rendered([line, all = std::move(all)](Rendering& r) {
    for (const Branch& branch : all)
      if (branch.condition == nullptr || truth(branch.condition->evaluate(r)))
        return render_block(branch.body, r, line);
    return Flow::kNext;
  });
}

StatementPtr loop(Loop loop) {
  return rendered([loop = std::move(loop)](Rendering& r) { return render_loop(loop, r); });
}

StatementPtr set(int line, Target target, ExpressionPtr value) {
  return rendered([line, target = std::move(target), value = std::move(value)](Rendering& r) {
    assign(target, value->evaluate(r), r, r.at(line));
    return Flow::kNext;
  });
}

StatementPtr set_block(int line, Target target, Block body) {
  return rendered([line, target = std::move(target), body = std::move(body)](Rendering& r) {
    std::string text;
    {
      InScope inside(r, r.scope);
      Collecting collecting(r);
      render_block(body, r, line);
      text = collecting.take();
    }
    assign(target, text, r, r.at(line));
    return Flow::kNext;
  });
}

StatementPtr macro(Macro macro) {
  auto shared = std::make_shared<const Macro>(std::move(macro));
  return rendered([shared](Rendering& r) {
    r.scope->values[shared->name] = std::make_shared<const Callable>(
        Callable{shared->name, [shared, &r](const Arguments& arguments, const Place& at) {
                   return Value(render_macro(*shared, r, arguments, at));
                 }});
    return Flow::kNext;
  });
}

StatementPtr leave(Flow flow) {
  return rendered([flow](Rendering&) { return flow; });
}

StatementPtr group(int line, Block body) {
  return rendered(
      [line, body = std::move(body)](Rendering& r) { return render_block(body, r, line); });
}

}  // namespace gracemoe::jinja
