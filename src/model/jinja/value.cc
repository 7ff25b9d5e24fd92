#include "model/jinja/value.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "model/jinja/text.h"

namespace gracemoe::jinja {
namespace {

void refuse_lazy(const Value& value, const std::string& what, const Place& at) {
  if (value.sequence(Sequence::kView) || value.sequence(Sequence::kIterator))
    fail_at(at, what, kind_of(value), "a list", "make it | list");
}

int depth_of(const Value& value, const Place& at) {
  if (value.callable() != nullptr || value.name_space() != nullptr)
    fail_at(at, "a list or mapping", kind_of(value) + " in it", "plain values");
  if (const List* list = value.list()) {
    refuse_lazy(value, "a list or mapping of such", at);
    return list->depth;
  }
  if (const Dict* dict = value.dict()) return dict->depth;
  return 0;
}

int depth_above(int deepest, const Place& at) {
  if (deepest >= kMaxDepth)
    fail_at(at, "lists and mappings in each other", "more than " + std::to_string(kMaxDepth),
            "fewer");
  return deepest + 1;
}

std::int64_t checked_weight(std::int64_t weight, const Place& at) {
  if (weight > kMaxWeight)
    fail_at(at, "a list or mapping", "more than " + std::to_string(kMaxWeight) + " bytes",
            "a smaller one");
  return weight;
}

// Holds every integer and every double exactly.
long double exactly(const Value& number) {
  if (const double* value = number.as<double>()) return *value;
  return static_cast<long double>(as_integer(number, "a number", {}));
}

bool equal_values(const Value& a, const Value& b);

bool equal_lists(const List& a, const List& b) {
  return a.kind == b.kind &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal_values);
}

bool equal_dicts(const Dict& a, const Dict& b) {
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
           const Value* other = b.find(item.first);
           return other != nullptr && equal_values(item.second, *other);
         });
}

// nullptr: no string.
const std::string* spelling(const Value& value) {
  const auto* safe = value.as<Safe>();
  return safe != nullptr ? &safe->text : value.text();
}

bool equal_values(const Value& a, const Value& b) {
  if (a.number() && b.number()) return exactly(a) == exactly(b);
  if (spelling(a) != nullptr && spelling(b) != nullptr) return *spelling(a) == *spelling(b);
  if (a.list() != nullptr && b.list() != nullptr) return equal_lists(*a.list(), *b.list());
  if (a.dict() != nullptr && b.dict() != nullptr) return equal_dicts(*a.dict(), *b.dict());
  if (a.name_space() != nullptr) return a.name_space() == b.name_space();
  return (a.none() && b.none()) || (a.undefined() && b.undefined());
}

std::string kind_of_list(Sequence kind) {
  switch (kind) {
    case Sequence::kList:
      return "a list";
    case Sequence::kTuple:
      return "a tuple";
    case Sequence::kRange:
      return "a range";
    case Sequence::kView:
      return "keys, values or items of a mapping";
    case Sequence::kIterator:
      break;
  }
  return "an iterator (of map, select, reject, reverse or items)";
}

}  // namespace

void fail_at(const Place& at, const std::string& what, const std::string& got,
             const std::string& wanted, const std::string& action) {
  fail_input({.what = std::string(at.name) + ": line " + std::to_string(at.line) + ": " + what,
              .got = got,
              .wanted = wanted,
              .action = action.empty()
                            ? "correct the template, or give another with --template FILE"
                            : action});
}

const Value* Dict::find(std::string_view key) const {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
  return found == items.end() ? nullptr : &found->second;
}

bool Value::number() const {
  return as<bool>() != nullptr || as<std::int64_t>() != nullptr || as<double>() != nullptr;
}

Value make_list(std::vector<Value> items, const Place& at, Sequence kind) {
  int deepest = 0;
  std::int64_t weight = 1;
  for (const Value& item : items) {
    deepest = std::max(deepest, depth_of(item, at));
    weight = checked_weight(weight + weight_of(item), at);
  }
  List list{std::move(items), kind, depth_above(deepest, at), weight};
  return std::make_shared<const List>(std::move(list));
}

Value make_dict(std::vector<std::pair<std::string, Value>> items, const Place& at) {
  int deepest = 0;
  std::int64_t weight = 1;
  for (const auto& [key, item] : items) {
    deepest = std::max(deepest, depth_of(item, at));
    weight += static_cast<std::int64_t>(key.size()) + 1;
    weight = checked_weight(weight + weight_of(item), at);
  }
  return std::make_shared<const Dict>(Dict{std::move(items), depth_above(deepest, at), weight});
}

Value from_json(const OrderedJson& json, const Place& at) {
  if (json.is_null()) return None{};
  if (json.is_boolean()) return json.get<bool>();
  if (json.is_number_unsigned() && json.get<std::uint64_t>() > INT64_MAX)
    fail_at(at, "a number", json.dump(), "one of 64 bits");
  if (json.is_number_integer()) return json.get<std::int64_t>();
  if (json.is_number()) return json.get<double>();
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array()) {
    std::vector<Value> items;
    for (const OrderedJson& item : json) items.push_back(from_json(item, at));
    return make_list(std::move(items), at);
  }
  std::vector<std::pair<std::string, Value>> items;
  for (const auto& [key, item] : json.items()) items.emplace_back(key, from_json(item, at));
  return make_dict(std::move(items), at);
}

bool truth(const Value& value) {
  if (value.undefined() || value.none()) return false;
  if (value.number()) return as_double(value) != 0;
  if (const std::string* text = value.text()) return !text->empty();
  if (const Safe* safe = value.as<Safe>()) return !safe->text.empty();
  if (const List* list = value.list())
    return list->kind == Sequence::kIterator || !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->items.empty();
  return true;
}

std::int64_t weight_of(const Value& value) {
  if (const std::string* text = value.text()) return static_cast<std::int64_t>(text->size()) + 1;
  if (const List* list = value.list()) return list->weight;
  if (const Dict* dict = value.dict()) return dict->weight;
  return 1;
}

std::string kind_of(const Value& value) {
  if (const auto* missing = value.as<Undefined>())
    return "an undefined value (" + missing->name + ")";
  if (value.none()) return "none";
  if (value.as<bool>() != nullptr) return "a boolean";
  if (value.as<std::int64_t>() != nullptr) return "an integer";
  if (value.as<double>() != nullptr) return "a float";
  if (value.text() != nullptr) return "a string";
  if (value.as<Safe>() != nullptr) return "a string marked safe";
  if (const List* list = value.list()) return kind_of_list(list->kind);
  if (value.dict() != nullptr) return "a mapping";
  if (value.callable() != nullptr) return "a function (" + value.callable()->name + ")";
  return value.name_space()->fixed ? "the state of a loop" : "a namespace";
}

bool equal(const Value& a, const Value& b, const Place& at) {
  refuse_lazy(a, "a comparison", at);
  refuse_lazy(b, "a comparison", at);
  return equal_values(a, b);
}

bool less(const Value& a, const Value& b, const Place& at) {
  if (a.number() && b.number()) return exactly(a) < exactly(b);
  // The order of UTF-8's bytes is that of the characters.
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() < *b.text();
  fail_at(at, "a comparison", kind_of(a) + " and " + kind_of(b), "two numbers or two strings");
}

bool less_or_equal(const Value& a, const Value& b, const Place& at) {
  return less(a, b, at) || equal_values(a, b);  // not the opposite: a float may be no number
}

bool contains(const Value& haystack, const Value& needle, const Place& at) {
  if (const std::string* text = haystack.text()) {
    if (needle.text() == nullptr) fail_at(at, "in a string", kind_of(needle), "a string");
    return text->find(*needle.text()) != text->npos;
  }
  if (haystack.list() != nullptr) {
    const std::vector<Value> items = elements(haystack, at);
    return std::any_of(items.begin(), items.end(),
                       [&](const Value& item) { return equal(item, needle, at); });
  }
  if (const Dict* dict = haystack.dict())
    return needle.text() != nullptr && dict->find(*needle.text()) != nullptr;
  if (haystack.undefined()) return false;
  fail_at(at, "in", kind_of(haystack), "a string, list or mapping");
}

std::vector<Value> elements(const Value& value, const Place& at) {
  std::vector<Value> result;
  if (const List* list = value.list()) {
    if (list->kind == Sequence::kIterator && std::exchange(list->taken, true))
      fail_at(at, "elements", kind_of(value) + " for the second time, when Python finds none in it",
              "a list", "make it | list");
    return list->items;
  }
  if (const Dict* dict = value.dict()) {
    for (const auto& [key, item] : dict->items) result.emplace_back(key);
  } else if (const std::string* text = value.text()) {
    for (const std::string_view c : characters(*text)) result.emplace_back(std::string(c));
  } else if (!value.undefined()) {
    fail_at(at, "elements", kind_of(value), "a list, mapping or string");
  }
  return result;
}

double as_double(const Value& value) {
  if (const double* number = value.as<double>()) return *number;
  return static_cast<double>(as_integer(value, "a number", {}));
}

std::int64_t as_integer(const Value& value, const std::string& what, const Place& at) {
  if (const auto* number = value.as<std::int64_t>()) return *number;
  if (const bool* flag = value.as<bool>()) return *flag ? 1 : 0;
  fail_at(at, what, kind_of(value), "an integer");
}

}  // namespace gracemoe::jinja
