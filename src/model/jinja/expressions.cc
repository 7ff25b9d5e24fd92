#include "model/jinja/expressions.h"

#include <algorithm>
#include <array>

#include "model/jinja/arithmetic.h"
#include "model/jinja/builtins.h"
#include "model/jinja/text.h"

namespace gracemoe::jinja {
namespace {

// An expression as a function of a rendering.
template <typename Compute>
class Computed : public Expression {
 public:
  Computed(int line, Compute compute) : Expression(line), compute_(std::move(compute)) {}

 protected:
  Value compute(Rendering& r) const override { return compute_(r, r.at(line())); }

 private:
  Compute compute_;
};

template <typename Compute>
ExpressionPtr computed(int line, Compute compute) {
  return std::make_unique<Computed<Compute>>(line, std::move(compute));
}

std::vector<Value> all_of(const std::vector<ExpressionPtr>& expressions, Rendering& r) {
  std::vector<Value> values;
  for (const ExpressionPtr& one : expressions) values.push_back(one->evaluate(r));
  return values;
}

// What a comparison goes through: of a mapping only its keys where something is sought in it.
std::int64_t compared_size(bool sought_in, const Value& value) {
  const Dict* dict = value.dict();
  return sought_in && dict != nullptr ? 16 * static_cast<std::int64_t>(dict->items.size())
                                      : weight_of(value);
}

bool compare(const std::string& symbol, const Value& a, const Value& b, const Place& at) {
  if (symbol == "==") return equal(a, b, at);
  if (symbol == "!=") return !equal(a, b, at);
  if (symbol == "in") return contains(b, a, at);
  if (symbol == "not in") return !contains(b, a, at);
  if (symbol == "<") return less(a, b, at);
  if (symbol == ">") return less(b, a, at);
  return symbol == "<=" ? less_or_equal(a, b, at) : less_or_equal(b, a, at);
}

// Python's slice.indices.
std::vector<std::int64_t> slice_places(std::int64_t size, const Value& from, const Value& to,
                                       const Value& step_value, const Place& at) {
  const std::int64_t step = step_value.none() ? 1 : as_integer(step_value, "a slice's step", at);
  if (step == 0) fail_at(at, "a slice's step", "0", "another integer");
  const auto bound = [&](const Value& value, std::int64_t fallback) {
    if (value.none()) return fallback;
    const std::int64_t number = as_integer(value, "a slice's bound", at);
    const std::int64_t place = number < 0 ? number + size : number;
    return std::clamp<std::int64_t>(place, step < 0 ? -1 : 0, step < 0 ? size - 1 : size);
  };
  const std::int64_t begin = bound(from, step < 0 ? size - 1 : 0);
  const std::int64_t end = bound(to, step < 0 ? -1 : size);
  std::vector<std::int64_t> places;
  // Counted, not added up: a huge step must not overflow.
  const std::uint64_t stride =
      step < 0 ? 0 - static_cast<std::uint64_t>(step) : static_cast<std::uint64_t>(step);
  const std::int64_t distance = step < 0 ? begin - end : end - begin;
  for (std::uint64_t gone = 0; distance > 0 && gone < static_cast<std::uint64_t>(distance);
       gone += stride) {
    places.push_back(step < 0 ? begin - static_cast<std::int64_t>(gone)
                              : begin + static_cast<std::int64_t>(gone));
    if (stride > static_cast<std::uint64_t>(distance)) break;
  }
  return places;
}

Value sliced(const Value& object, const Value& from, const Value& to, const Value& step,
             const Place& at) {
  const bool indexed = !object.sequence(Sequence::kView) && !object.sequence(Sequence::kIterator);
  if (const List* list = object.list(); list != nullptr && indexed) {
    std::vector<Value> items;
    for (const std::int64_t i :
         slice_places(static_cast<std::int64_t>(list->items.size()), from, to, step, at))
      items.push_back(list->items[static_cast<std::size_t>(i)]);
    return make_list(std::move(items), at, list->kind);
  }
  const std::string* text = object.text();
  if (text == nullptr) fail_at(at, "a slice", kind_of(object), "a list or string");
  const std::vector<std::string_view> parts = characters(*text);
  std::string result;
  for (const std::int64_t i :
       slice_places(static_cast<std::int64_t>(parts.size()), from, to, step, at))
    result += parts[static_cast<std::size_t>(i)];
  return result;
}

Value value_or_none(const ExpressionPtr& expression, Rendering& r) {
  return expression == nullptr ? Value(None{}) : expression->evaluate(r);
}

std::int64_t size_of(const Value& value) {
  if (const std::string* text = value.text()) return static_cast<std::int64_t>(text->size());
  if (const auto* safe = value.as<Safe>()) return static_cast<std::int64_t>(safe->text.size());
  if (const List* list = value.list()) return 16 * static_cast<std::int64_t>(list->items.size());
  return 0;
}

// Names that Jinja gives a meaning without anyone's setting them.
void refuse_name(const std::string& name, const Place& at) {
  constexpr std::array<std::string_view, 7> kJinjas{"cycler", "dict", "joiner", "kwargs",
                                                    "lipsum", "self", "varargs"};
  if (std::find(kJinjas.begin(), kJinjas.end(), name) != kJinjas.end())
    fail_at(at, "a name", "'" + name + "'", "variables, range, namespace, raise_exception",
            "a part of Jinja that gracemoe does not have");
}

}  // namespace

Arguments ArgumentList::evaluate(Rendering& r) const {
  Arguments arguments;
  arguments.positional = all_of(positional, r);
  for (const NamedExpression& one : named)
    arguments.named.emplace_back(one.name, one.value->evaluate(r));
  return arguments;
}

ExpressionPtr literal(int line, Value value) {
  return computed(line, [value = std::move(value)](Rendering&, const Place&) { return value; });
}

ExpressionPtr name(int line, std::string name) {
  return computed(line, [name = std::move(name)](Rendering& r, const Place& at) {
    if (const Value* found = r.scope->find(name)) return *found;
    if (auto function = find_function(name)) return *std::move(function);
    refuse_name(name, at);
    return Value(Undefined{name});
  });
}

ExpressionPtr list_of(int line, std::vector<ExpressionPtr> items, bool tuple) {
  return computed(line, [items = std::move(items), tuple](Rendering& r, const Place& at) {
    return make_list(all_of(items, r), at, tuple ? Sequence::kTuple : Sequence::kList);
  });
}

ExpressionPtr dict_of(int line, std::vector<ExpressionPtr> items) {
  return computed(line, [items = std::move(items)](Rendering& r, const Place& at) {
    std::vector<std::pair<std::string, Value>> made;
    for (std::size_t i = 0; i + 1 < items.size(); i += 2) {
      const Value key = items[i]->evaluate(r);
      if (key.text() == nullptr) fail_at(at, "a mapping's key", kind_of(key), "a string");
      Value value = items[i + 1]->evaluate(r);
      const auto known = std::find_if(made.begin(), made.end(),
                                      [&](const auto& item) { return item.first == *key.text(); });
      if (known != made.end())
        known->second = std::move(value);
      else
        made.emplace_back(*key.text(), std::move(value));
    }
    return make_dict(std::move(made), at);
  });
}

ExpressionPtr negative(int line, ExpressionPtr operand, bool minus) {
  return computed(line, [operand = std::move(operand), minus](Rendering& r, const Place& at) {
    return signed_number(operand->evaluate(r), minus, at);
  });
}

ExpressionPtr logical_not(int line, ExpressionPtr operand) {
  return computed(line, [operand = std::move(operand)](Rendering& r, const Place&) {
    return Value(!truth(operand->evaluate(r)));
  });
}

ExpressionPtr logical(int line, bool is_and, ExpressionPtr left, ExpressionPtr right) {
  return computed(
      line, [is_and, left = std::move(left), right = std::move(right)](Rendering& r, const Place&) {
        Value first = left->evaluate(r);
        return truth(first) == is_and ? right->evaluate(r) : first;
      });
}

ExpressionPtr arithmetic(int line, std::string symbol, ExpressionPtr left, ExpressionPtr right) {
  return computed(line, [symbol = std::move(symbol), left = std::move(left),
                         right = std::move(right)](Rendering& r, const Place& at) {
    const Value a = left->evaluate(r);
    const Value b = right->evaluate(r);
    if (symbol == "*") r.spend(repeated_size(a, b), at.line);
    Value result = apply_arithmetic(symbol, a, b, at);
    r.spend(size_of(result), at.line);
    return result;
  });
}

ExpressionPtr comparison(int line, std::vector<std::string> symbols,
                         std::vector<ExpressionPtr> operands) {
  return computed(line, [symbols = std::move(symbols), operands = std::move(operands)](
                            Rendering& r, const Place& at) {
    Value left = operands[0]->evaluate(r);
    for (std::size_t i = 0; i < symbols.size(); ++i) {
      Value right = operands[i + 1]->evaluate(r);
      const bool sought_in = symbols[i] == "in" || symbols[i] == "not in";
      r.spend(compared_size(sought_in, right) + weight_of(left), at.line);
      if (!compare(symbols[i], left, right, at)) return Value(false);
      left = std::move(right);
    }
    return Value(true);
  });
}

ExpressionPtr conditional(int line, ExpressionPtr condition, ExpressionPtr then,
                          ExpressionPtr otherwise) {
  return computed(line, [condition = std::move(condition), then = std::move(then),
                         otherwise = std::move(otherwise)](Rendering& r, const Place&) {
    if (truth(condition->evaluate(r))) return then->evaluate(r);
    if (otherwise == nullptr) return Value(Undefined{"an if without else"});
    return otherwise->evaluate(r);
  });
}

ExpressionPtr attribute(int line, ExpressionPtr object, std::string name) {
  return computed(
      line, [object = std::move(object), name = std::move(name)](Rendering& r, const Place& at) {
        return get_attribute(object->evaluate(r), name, at);
      });
}

ExpressionPtr subscript(int line, ExpressionPtr object, ExpressionPtr index) {
  return computed(
      line, [object = std::move(object), index = std::move(index)](Rendering& r, const Place& at) {
        const Value value = object->evaluate(r);
        if (value.text() != nullptr) r.spend(size_of(value), at.line);
        return get_item(value, index->evaluate(r), at);
      });
}

ExpressionPtr slice(int line, ExpressionPtr object, ExpressionPtr from, ExpressionPtr to,
                    ExpressionPtr step) {
  return computed(line, [object = std::move(object), from = std::move(from), to = std::move(to),
                         step = std::move(step)](Rendering& r, const Place& at) {
    const Value value = object->evaluate(r);
    r.spend(size_of(value), at.line);
    const Value begin = value_or_none(from, r);
    const Value end = value_or_none(to, r);
    return sliced(value, begin, end, value_or_none(step, r), at);
  });
}

ExpressionPtr call(int line, ExpressionPtr function, ArgumentList arguments) {
  return computed(line, [function = std::move(function), arguments = std::move(arguments)](
                            Rendering& r, const Place& at) {
    const Value callee = function->evaluate(r);
    if (callee.callable() == nullptr) fail_at(at, "a call", kind_of(callee), "a function");
    Value result = callee.callable()->call(arguments.evaluate(r), at);
    r.spend(size_of(result), at.line);
    return result;
  });
}

ExpressionPtr filter(const Place& at, ExpressionPtr operand, std::string name,
                     ArgumentList arguments) {
  const Filter function = find_filter(name);
  if (function == nullptr) fail_at(at, "a filter", "'" + name + "'", "one of " + filter_names());
  return computed(at.line, [function, operand = std::move(operand),
                            arguments = std::move(arguments)](Rendering& r, const Place& place) {
    const Value value = operand->evaluate(r);
    r.spend(size_of(value), place.line);
    Value result = function(value, arguments.evaluate(r), place);
    r.spend(size_of(result), place.line);
    return result;
  });
}

ExpressionPtr test(const Place& at, ExpressionPtr operand, std::string name,
                   ArgumentList arguments) {
  const Test function = find_test(name);
  if (function == nullptr) fail_at(at, "a test", "'" + name + "'", "one of " + test_names());
  const bool walks = test_walks(name);
  return computed(at.line, [function, walks, operand = std::move(operand),
                            arguments = std::move(arguments)](Rendering& r, const Place& place) {
    const Value value = operand->evaluate(r);
    const Arguments given = arguments.evaluate(r);
    if (walks) r.spend(weight_of(value), place.line);
    for (const Value& other : given.positional)
      if (walks) r.spend(weight_of(other), place.line);
    return Value(function(value, given, place));
  });
}

}  // namespace gracemoe::jinja
