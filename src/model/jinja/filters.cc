// Filters: value | name(arguments).
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "model/jinja/builtins.h"
#include "model/jinja/text.h"

namespace gracemoe::jinja {
namespace {

// A filter whose arguments are read to the last.
template <Value (*apply)(const Value&, ArgumentReader&, const Place&)>
Value strict(const Value& value, const Arguments& arguments, const Place& at) {
  ArgumentReader reader(arguments, "a filter", at);
  Value result = apply(value, reader, at);
  reader.done();
  return result;
}

// As Jinja makes other values strings first.
std::string as_text(const Value& value, const Place& at) {
  if (value.as<Safe>() != nullptr)
    fail_at(at, "a filter for strings", kind_of(value), "| safe last");
  return to_text(value, at);
}

// Jinja's attribute=: a name, an index, or several with dots between.
Value at_path(Value object, const Value& path, const Place& at) {
  if (path.text() == nullptr) return get_item(object, path, at);
  for (const std::string_view part : split(*path.text(), ".", -1)) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), number);
    const bool digits = !part.empty() && part[0] != '-' && end == part.data() + part.size();
    if (digits && error != std::errc())
      fail_at(at, "an attribute", std::string(part), "an index of 64 bits");
    object = get_item(object, digits ? Value(number) : Value(std::string(part)), at);
  }
  return object;
}

Value trim(const Value& value, ArgumentReader& arguments, const Place& at) {
  const Value* given = arguments.next("chars");
  const bool none = given == nullptr || given->none();
  const std::string chars = none ? "" : arguments.text_of(*given, "chars");
  const std::string text = as_text(value, at);
  if (!none && chars.empty()) return text;
  return std::string(strip_right(strip_left(text, chars), chars));
}

Value count(const Value& value, ArgumentReader&, const Place& at) {
  if (const std::string* text = value.text()) return static_cast<std::int64_t>(length(*text));
  if (const auto* safe = value.as<Safe>()) return static_cast<std::int64_t>(length(safe->text));
  const bool list = value.list() != nullptr && !value.sequence(Sequence::kIterator);
  if (list || value.dict() != nullptr || value.undefined())
    return static_cast<std::int64_t>(elements(value, at).size());
  fail_at(at, "length", kind_of(value), "a list, mapping or string",
          value.list() != nullptr ? "make it | list" : "");
}

// As the templates' usual environment has it: no escapes for HTML or for other than ASCII.
Value tojson(const Value& value, const Arguments& all, const Place& at) {
  // Jinja's own first argument is the indent, that of the templates' environment is not.
  if (!all.positional.empty()) fail_at(at, "tojson", "an argument without a name", "indent=");
  ArgumentReader arguments(all, "tojson", at);
  const Value* indent = arguments.next("indent");
  const Value* ascii = arguments.next("ensure_ascii");
  arguments.done();
  if (ascii != nullptr && truth(*ascii)) fail_at(at, "tojson", "ensure_ascii=true", "false");
  if (indent == nullptr || indent->none()) return to_json(value, -1, at);
  const std::int64_t width = as_integer(*indent, "indent", at);
  if (width < 0 || width > 16) fail_at(at, "indent", std::to_string(width), "0 to 16");
  return to_json(value, static_cast<int>(width), at);
}

Value join(const Value& value, ArgumentReader& arguments, const Place& at) {
  const Value* separator = arguments.next("d");
  const Value* attribute = arguments.next("attribute");
  std::string result;
  bool first = true;
  for (const Value& item : elements(value, at)) {
    if (!first && separator != nullptr) result += to_text(*separator, at);
    first = false;
    const bool whole = attribute == nullptr || attribute->none();
    result += to_text(whole ? item : at_path(item, *attribute, at), at);
  }
  return result;
}

Value upper_case(const Value& value, ArgumentReader&, const Place& at) {
  return upper(as_text(value, at));
}
Value lower_case(const Value& value, ArgumentReader&, const Place& at) {
  return lower(as_text(value, at));
}
Value string(const Value& value, ArgumentReader&, const Place& at) {
  if (value.as<Safe>() != nullptr) return value;
  return to_text(value, at);
}

Value fallback(const Value& value, ArgumentReader& arguments, const Place&) {
  const Value* other = arguments.next("default_value");
  const Value* boolean = arguments.next("boolean");
  const bool falsy = boolean != nullptr && truth(*boolean) && !truth(value);
  if (!value.undefined() && !falsy) return value;
  return other == nullptr ? Value("") : *other;
}

Value first(const Value& value, ArgumentReader&, const Place& at) {
  const std::vector<Value> items = elements(value, at);
  return items.empty() ? Value(Undefined{"the first of none"}) : items.front();
}
Value last(const Value& value, ArgumentReader&, const Place& at) {
  if (value.sequence(Sequence::kIterator))
    fail_at(at, "last", kind_of(value), "a list", "make it | list");
  const std::vector<Value> items = elements(value, at);
  return items.empty() ? Value(Undefined{"the last of none"}) : items.back();
}
Value list(const Value& value, ArgumentReader&, const Place& at) {
  return make_list(elements(value, at), at);
}

Value reverse(const Value& value, ArgumentReader&, const Place& at) {
  std::vector<Value> items = elements(value, at);
  std::reverse(items.begin(), items.end());
  // What Python cannot go through backwards, Jinja makes a list of.
  if (value.text() == nullptr)
    return make_list(std::move(items), at,
                     value.sequence(Sequence::kIterator) ? Sequence::kList : Sequence::kIterator);
  std::string text;
  for (const Value& item : items) text += *item.text();
  return text;
}

Value replaced(const Value& value, ArgumentReader& arguments, const Place& at) {
  const std::string from = arguments.text_of(arguments.wanted("s"), "s");
  const std::string to = arguments.text_of(arguments.wanted("new"), "new");
  if (from.empty()) fail_at(at, "replace", "an empty string to replace", "a string");
  return replace(as_text(value, at), from, to);
}

Value items(const Value& value, ArgumentReader&, const Place& at) {
  if (value.undefined()) return make_list({}, at, Sequence::kIterator);
  if (value.dict() == nullptr) fail_at(at, "items", kind_of(value), "a mapping");
  const Value view = find_method(value, "items", at)->callable()->call({}, at);
  return make_list(elements(view, at), at, Sequence::kIterator);
}

Value integer(const Value& value, ArgumentReader&, const Place& at) {
  if (const double* number = value.as<double>()) {
    if (!(std::fabs(*number) < 9e18)) fail_at(at, "int", "a float out of range", "64 bits");
    return static_cast<std::int64_t>(*number);
  }
  return as_integer(value, "int", at);
}

Value magnitude(const Value& value, ArgumentReader&, const Place& at) {
  if (!value.number()) fail_at(at, "abs", kind_of(value), "a number");
  if (const double* number = value.as<double>()) return std::fabs(*number);
  const std::int64_t number = as_integer(value, "abs", at);
  if (number == INT64_MIN) fail_at(at, "abs", "a result of more than 64 bits", "a smaller one");
  return number < 0 ? -number : number;
}

Value marked_safe(const Value& value, ArgumentReader&, const Place& at) {
  return Safe{to_text(value, at)};
}

// map("filter", ...) or map(attribute="name").
Value map_filter(const Value& value, const Arguments& arguments, const Place& at) {
  std::vector<Value> result;
  const bool attribute = arguments.positional.empty() && arguments.named.size() == 1 &&
                         arguments.named[0].first == "attribute";
  if (!attribute && (arguments.positional.empty() || arguments.positional[0].text() == nullptr))
    fail_at(at, "map", "neither a filter's name nor attribute=", "one of them");
  const Filter filter = attribute ? nullptr : find_filter(*arguments.positional[0].text());
  if (!attribute && filter == nullptr)
    fail_at(at, "map", "'" + *arguments.positional[0].text() + "'", "one of " + filter_names());
  Arguments rest = arguments;
  if (!attribute) rest.positional.erase(rest.positional.begin());
  for (const Value& item : elements(value, at))
    result.push_back(attribute ? at_path(item, arguments.named[0].second, at)
                               : filter(item, rest, at));
  return make_list(std::move(result), at, Sequence::kIterator);
}

// select(test, ...), or selectattr(attribute, test, ...): elements for which it holds, or not.
template <bool by_attribute, bool wanted>
Value select(const Value& value, const Arguments& arguments, const Place& at) {
  Arguments rest = arguments;
  Value attribute;
  if (by_attribute) {
    if (rest.positional.empty()) fail_at(at, "selectattr", "no attribute", "its name");
    attribute = rest.positional[0];
    rest.positional.erase(rest.positional.begin());
  }
  Test test = nullptr;
  if (!rest.positional.empty()) {
    const std::string* name = rest.positional[0].text();
    test = name == nullptr ? nullptr : find_test(*name);
    if (test == nullptr) fail_at(at, "select", "an unknown test", "one of " + test_names());
    rest.positional.erase(rest.positional.begin());
  }
  std::vector<Value> result;
  for (const Value& item : elements(value, at)) {
    const Value tested = by_attribute ? at_path(item, attribute, at) : item;
    if ((test == nullptr ? truth(tested) : test(tested, rest, at)) == wanted)
      result.push_back(item);
  }
  return make_list(std::move(result), at, Sequence::kIterator);
}

const std::map<std::string, Filter>& filters() {
  static const std::map<std::string, Filter> kFilters{{"abs", strict<magnitude>},
                                                      {"count", strict<count>},
                                                      {"d", strict<fallback>},
                                                      {"default", strict<fallback>},
                                                      {"first", strict<first>},
                                                      {"int", strict<integer>},
                                                      {"items", strict<items>},
                                                      {"join", strict<join>},
                                                      {"last", strict<last>},
                                                      {"length", strict<count>},
                                                      {"list", strict<list>},
                                                      {"lower", strict<lower_case>},
                                                      {"map", map_filter},
                                                      {"reject", select<false, false>},
                                                      {"rejectattr", select<true, false>},
                                                      {"replace", strict<replaced>},
                                                      {"reverse", strict<reverse>},
                                                      {"safe", strict<marked_safe>},
                                                      {"select", select<false, true>},
                                                      {"selectattr", select<true, true>},
                                                      {"string", strict<string>},
                                                      {"tojson", tojson},
                                                      {"trim", strict<trim>},
                                                      {"upper", strict<upper_case>}};
  return kFilters;
}

}  // namespace

Filter find_filter(const std::string& name) {
  const auto found = filters().find(name);
  return found == filters().end() ? nullptr : found->second;
}

std::string filter_names() {
  std::string names;
  for (const auto& [name, filter] : filters()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace gracemoe::jinja
