#include "model/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/jinja/text.h"

namespace gracemoe::jinja {
namespace {

int depth_of(const Value& value, const Place& at) {
  if (value.callable() != nullptr || value.name_space() != nullptr)
    fail_at(at, "a list or mapping", kind_of(value) + " in it", "plain values");
  if (const List* list = value.list()) return list->depth;
  if (const Dict* dict = value.dict()) return dict->depth;
  return 0;
}

int depth_above(int deepest, const Place& at) {
  if (deepest >= kMaxDepth)
    fail_at(at, "lists and mappings in each other", "more than " + std::to_string(kMaxDepth),
            "fewer");
  return deepest + 1;
}

bool equal_numbers(const Value& a, const Value& b) {
  if (a.as<double>() == nullptr && b.as<double>() == nullptr)
    return as_integer(a, "", {}) == as_integer(b, "", {});
  return as_double(a) == as_double(b);
}

bool equal_lists(const List& a, const List& b) {
  return a.tuple == b.tuple &&
         std::equal(a.items.begin(), a.items.end(), b.items.begin(), b.items.end(), equal);
}

bool equal_dicts(const Dict& a, const Dict& b) {
  return a.items.size() == b.items.size() &&
         std::all_of(a.items.begin(), a.items.end(), [&](const auto& item) {
           const Value* other = b.find(item.first);
           return other != nullptr && equal(item.second, *other);
         });
}

}  // namespace

void fail_at(const Place& at, const std::string& what, const std::string& got,
             const std::string& wanted, const std::string& action) {
  fail_input({.what = std::string(at.name) + ": line " + std::to_string(at.line) + ": " + what,
              .got = got,
              .wanted = wanted,
              .action = action});
}

const Value* Dict::find(std::string_view key) const {
  const auto found =
      std::find_if(items.begin(), items.end(), [&](const auto& item) { return item.first == key; });
  return found == items.end() ? nullptr : &found->second;
}

bool Value::number() const {
  return as<bool>() != nullptr || as<std::int64_t>() != nullptr || as<double>() != nullptr;
}

Value make_list(std::vector<Value> items, const Place& at, bool tuple) {
  int deepest = 0;
  for (const Value& item : items) deepest = std::max(deepest, depth_of(item, at));
  return std::make_shared<const List>(List{std::move(items), tuple, depth_above(deepest, at)});
}

Value make_dict(std::vector<std::pair<std::string, Value>> items, const Place& at) {
  int deepest = 0;
  for (const auto& [key, item] : items) deepest = std::max(deepest, depth_of(item, at));
  return std::make_shared<const Dict>(Dict{std::move(items), depth_above(deepest, at)});
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
  if (const List* list = value.list()) return !list->items.empty();
  if (const Dict* dict = value.dict()) return !dict->items.empty();
  return true;
}

std::string kind_of(const Value& value) {
  if (const auto* missing = value.as<Undefined>())
    return "an undefined value (" + missing->name + ")";
  if (value.none()) return "none";
  if (value.as<bool>() != nullptr) return "a boolean";
  if (value.as<std::int64_t>() != nullptr) return "an integer";
  if (value.as<double>() != nullptr) return "a float";
  if (value.text() != nullptr) return "a string";
  if (const List* list = value.list()) return list->tuple ? "a tuple" : "a list";
  if (value.dict() != nullptr) return "a mapping";
  return value.callable() != nullptr ? "a function (" + value.callable()->name + ")"
                                     : "a namespace";
}

bool equal(const Value& a, const Value& b) {
  if (a.number() && b.number()) return equal_numbers(a, b);
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() == *b.text();
  if (a.list() != nullptr && b.list() != nullptr) return equal_lists(*a.list(), *b.list());
  if (a.dict() != nullptr && b.dict() != nullptr) return equal_dicts(*a.dict(), *b.dict());
  if (a.name_space() != nullptr) return a.name_space() == b.name_space();
  return (a.none() && b.none()) || (a.undefined() && b.undefined());
}

bool less(const Value& a, const Value& b, const Place& at) {
  if (a.number() && b.number()) {
    if (a.as<double>() == nullptr && b.as<double>() == nullptr)
      return as_integer(a, "", at) < as_integer(b, "", at);
    return as_double(a) < as_double(b);
  }
  // The order of UTF-8's bytes is that of the characters.
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() < *b.text();
  fail_at(at, "a comparison", kind_of(a) + " and " + kind_of(b), "two numbers or two strings");
}

bool contains(const Value& haystack, const Value& needle, const Place& at) {
  if (const std::string* text = haystack.text()) {
    if (needle.text() == nullptr) fail_at(at, "in a string", kind_of(needle), "a string");
    return text->find(*needle.text()) != text->npos;
  }
  if (const List* list = haystack.list())
    return std::any_of(list->items.begin(), list->items.end(),
                       [&](const Value& item) { return equal(item, needle); });
  if (const Dict* dict = haystack.dict())
    return needle.text() != nullptr && dict->find(*needle.text()) != nullptr;
  if (haystack.undefined()) return false;
  fail_at(at, "in", kind_of(haystack), "a string, list or mapping");
}

std::vector<Value> elements(const Value& value, const Place& at) {
  std::vector<Value> result;
  if (const List* list = value.list()) return list->items;
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
