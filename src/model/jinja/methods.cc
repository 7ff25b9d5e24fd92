// Methods of strings and mappings, global functions, attributes and elements.
#include <algorithm>
#include <array>

#include "base/error.h"
#include "model/jinja/builtins.h"
#include "model/jinja/text.h"

namespace gracemoe::jinja {
namespace {

constexpr std::int64_t kMaxRange = 100'000;  // as in Jinja's sandbox

// What Python has under these names, and we have not: never taken for a missing attribute.
constexpr std::array<std::string_view, 40> kStringMethods{
    "capitalize",  "casefold",   "center",       "count",        "encode",   "expandtabs",
    "find",        "format",     "format_map",   "index",        "isalnum",  "isalpha",
    "isascii",     "isdecimal",  "isdigit",      "isidentifier", "islower",  "isnumeric",
    "isprintable", "isspace",    "istitle",      "isupper",      "join",     "ljust",
    "maketrans",   "partition",  "removeprefix", "removesuffix", "rfind",    "rindex",
    "rjust",       "rpartition", "rsplit",       "splitlines",   "swapcase", "title",
    "translate",   "zfill",      "__class__",    "__len__"};
constexpr std::array<std::string_view, 7> kDictMethods{"clear",   "copy",       "fromkeys", "pop",
                                                       "popitem", "setdefault", "update"};
constexpr std::array<std::string_view, 11> kListMethods{"append", "clear",   "copy",   "count",
                                                        "extend", "index",   "insert", "pop",
                                                        "remove", "reverse", "sort"};

template <typename Names>
void refuse_method(const Names& names, std::string_view name, const Value& object,
                   const Place& at) {
  if (std::find(names.begin(), names.end(), name) == names.end()) return;
  fail_at(at, "a method", "'" + std::string(name) + "' of " + kind_of(object),
          "one that gracemoe has: of strings strip lstrip rstrip split startswith endswith replace "
          "upper lower, of mappings get items keys values");
}

// Of numbers, in Python.
constexpr std::array<std::string_view, 13> kNumberNames{
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "denominator",
    "from_bytes",       "fromhex",   "hex",        "imag",      "is_integer",
    "numerator",        "real",      "to_bytes"};
constexpr std::array<std::string_view, 5> kRangeNames{"count", "index", "start", "step", "stop"};

// What Python gives only attributes that we have not: views, iterators, strings marked safe.
bool without_elements(const Value& object) {
  return object.sequence(Sequence::kView) || object.sequence(Sequence::kIterator) ||
         object.as<Safe>() != nullptr;
}

void refuse_attribute(const Value& object, std::string_view name, const Place& at) {
  const auto any_of = [&](const auto& names) {
    return std::find(names.begin(), names.end(), name) != names.end();
  };
  if (without_elements(object) || (object.number() && any_of(kNumberNames)) ||
      (object.sequence(Sequence::kRange) && any_of(kRangeNames)))
    fail_at(at, "." + std::string(name), kind_of(object), "a string, mapping or namespace");
}

using StringMethod = Value (*)(const std::string&, ArgumentReader&, const Place&);

Value strip(const std::string& text, ArgumentReader& arguments, bool left, bool right) {
  const Value* given = arguments.next("chars");
  const bool none = given == nullptr || given->none();
  const std::string chars = none ? "" : arguments.text_of(*given, "chars");
  if (!none && chars.empty()) return text;
  std::string_view rest = text;
  if (left) rest = strip_left(rest, chars);
  if (right) rest = strip_right(rest, chars);
  return std::string(rest);
}

Value split_text(const std::string& text, ArgumentReader& arguments, const Place& at) {
  const Value* given = arguments.next("sep");
  const bool none = given == nullptr || given->none();
  const std::string separator = none ? "" : arguments.text_of(*given, "sep");
  if (!none && separator.empty()) fail_at(at, "split", "an empty separator", "a string");
  const Value* limit = arguments.next("maxsplit");
  std::vector<Value> parts;
  for (const std::string_view part :
       split(text, separator, limit == nullptr ? -1 : as_integer(*limit, "maxsplit", at)))
    parts.emplace_back(std::string(part));
  return make_list(std::move(parts), at);
}

// startswith and endswith take one string or a tuple of them.
template <typename Fits>
Value fits_any(ArgumentReader& arguments, const Place& at, Fits fits) {
  const Value& wanted = arguments.wanted("prefix or suffix");
  if (wanted.text() != nullptr) return fits(*wanted.text());
  if (wanted.list() == nullptr || wanted.list()->kind != Sequence::kTuple)
    fail_at(at, "a prefix or suffix", kind_of(wanted), "a string or a tuple");
  for (const Value& one : wanted.list()->items)
    if (fits(arguments.text_of(one, "prefix or suffix"))) return true;
  return false;
}

Value replace_text(const std::string& text, ArgumentReader& arguments, const Place& at) {
  const std::string from = arguments.text_of(arguments.wanted("old"), "old");
  const std::string to = arguments.text_of(arguments.wanted("new"), "new");
  if (from.empty()) fail_at(at, "replace", "an empty string to replace", "a string");
  return replace(text, from, to);
}

StringMethod find_string_method(std::string_view name) {
  static const std::map<std::string_view, StringMethod> kMethods{
      {"strip", [](const std::string& s, ArgumentReader& a,
                   const Place&) { return strip(s, a, true, true); }},
      {"lstrip", [](const std::string& s, ArgumentReader& a,
                    const Place&) { return strip(s, a, true, false); }},
      {"rstrip", [](const std::string& s, ArgumentReader& a,
                    const Place&) { return strip(s, a, false, true); }},
      {"split", split_text},
      {"replace", replace_text},
      {"upper",
       [](const std::string& s, ArgumentReader&, const Place&) { return Value(upper(s)); }},
      {"lower",
       [](const std::string& s, ArgumentReader&, const Place&) { return Value(lower(s)); }},
      {"startswith",
       [](const std::string& s, ArgumentReader& a, const Place& at) {
         return fits_any(a, at, [&](const std::string& part) { return s.starts_with(part); });
       }},
      {"endswith", [](const std::string& s, ArgumentReader& a, const Place& at) {
         return fits_any(a, at, [&](const std::string& part) { return s.ends_with(part); });
       }}};
  const auto found = kMethods.find(name);
  return found == kMethods.end() ? nullptr : found->second;
}

using DictMethod = Value (*)(const Dict&, ArgumentReader&, const Place&);

Value dict_get(const Dict& dict, ArgumentReader& arguments, const Place& at) {
  const Value& key = arguments.wanted("key");
  if (key.as<Safe>() != nullptr) fail_at(at, "get", kind_of(key), "a string not so marked");
  const Value* fallback = arguments.next("default");
  const Value* found = key.text() == nullptr ? nullptr : dict.find(*key.text());
  if (found != nullptr) return *found;
  return fallback == nullptr ? Value(None{}) : *fallback;
}

Value dict_items(const Dict& dict, ArgumentReader&, const Place& at) {
  std::vector<Value> items;
  for (const auto& [key, value] : dict.items)
    items.push_back(make_list({key, value}, at, Sequence::kTuple));
  return make_list(std::move(items), at, Sequence::kView);
}

Value dict_keys(const Dict& dict, ArgumentReader&, const Place& at) {
  std::vector<Value> keys;
  for (const auto& [key, value] : dict.items) keys.emplace_back(key);
  return make_list(std::move(keys), at, Sequence::kView);
}

Value dict_values(const Dict& dict, ArgumentReader&, const Place& at) {
  std::vector<Value> values;
  for (const auto& [key, value] : dict.items) values.push_back(value);
  return make_list(std::move(values), at, Sequence::kView);
}

DictMethod find_dict_method(std::string_view name) {
  if (name == "get") return dict_get;
  if (name == "items") return dict_items;
  if (name == "keys") return dict_keys;
  return name == "values" ? dict_values : nullptr;
}

Value callable(std::string name, std::function<Value(const Arguments&, const Place&)> function) {
  return std::make_shared<const Callable>(Callable{std::move(name), std::move(function)});
}

// A method of `object`, whose arguments it reads to the last.
template <typename Held, typename Method>
Value bound(const Value& object, const Held* (Value::*held)() const, Method method,
            std::string_view name) {
  return callable(std::string(name), [object, held, method, name = std::string(name)](
                                         const Arguments& arguments, const Place& at) {
    ArgumentReader reader(arguments, name, at);
    Value result = method(*(object.*held)(), reader, at);
    reader.done();
    return result;
  });
}

Value range(const Arguments& arguments, const Place& at) {
  ArgumentReader reader(arguments, "range", at);
  std::int64_t begin = 0;
  std::int64_t end = as_integer(reader.wanted("stop"), "range", at);
  std::int64_t step = 1;
  if (const Value* second = reader.next("stop")) {
    begin = end;
    end = as_integer(*second, "range", at);
  }
  if (const Value* third = reader.next("step")) step = as_integer(*third, "range", at);
  reader.done();
  if (step == 0) fail_at(at, "range", "a step of 0", "another integer");
  std::vector<Value> items;
  for (std::int64_t i = begin; step > 0 ? i < end : i > end;) {
    if (static_cast<std::int64_t>(items.size()) == kMaxRange)
      fail_at(at, "range", "more than " + std::to_string(kMaxRange) + " numbers", "fewer");
    items.emplace_back(i);
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(std::move(items), at, Sequence::kRange);
}

Value make_namespace(const Arguments& arguments, const Place& at) {
  if (!arguments.positional.empty())
    fail_at(at, "namespace", "an argument without a name", "name=value");
  auto space = std::make_shared<Namespace>();
  for (const auto& [name, value] : arguments.named) {
    if (value.callable() != nullptr || value.name_space() != nullptr)
      fail_at(at, "namespace", kind_of(value), "plain values");
    space->items[name] = value;
  }
  return space;
}

Value raise_exception(const Arguments& arguments, const Place& at) {
  ArgumentReader reader(arguments, "raise_exception", at);
  const std::string message = to_text(reader.wanted("message"), at);
  reader.done();
  fail_input(
      {.what = std::string(at.name) + ": line " + std::to_string(at.line) +
               ": the template refuses this conversation: " + message,
       .got = "",
       .wanted = "",
       .action = "change the messages as it says, or give another template with --template FILE"});
}

}  // namespace

std::optional<Value> find_method(const Value& object, std::string_view name, const Place& at) {
  if (object.text() != nullptr) {
    if (const StringMethod method = find_string_method(name))
      return bound(object, &Value::text, method, name);
    refuse_method(kStringMethods, name, object, at);
  } else if (object.dict() != nullptr) {
    if (const DictMethod method = find_dict_method(name))
      return bound(object, &Value::dict, method, name);
    refuse_method(kDictMethods, name, object, at);
  } else if (object.list() != nullptr) {
    refuse_method(kListMethods, name, object, at);
  }
  return std::nullopt;
}

std::optional<Value> find_function(std::string_view name) {
  if (name == "range") return callable("range", range);
  if (name == "namespace") return callable("namespace", make_namespace);
  if (name == "raise_exception") return callable("raise_exception", raise_exception);
  return std::nullopt;
}

Value get_attribute(const Value& object, std::string_view name, const Place& at) {
  const std::string key(name);
  if (object.undefined()) fail_at(at, "." + key, kind_of(object), "a value");
  if (const Namespace* space = object.name_space()) {
    const auto found = space->items.find(name);
    return found == space->items.end() ? Value(Undefined{key}) : found->second;
  }
  if (object.callable() != nullptr)
    fail_at(at, "." + key, kind_of(object), "a call: functions may only be called");
  refuse_attribute(object, key, at);
  if (auto method = find_method(object, name, at)) return *std::move(method);
  const Value* found = object.dict() == nullptr ? nullptr : object.dict()->find(name);
  return found == nullptr ? Value(Undefined{key}) : *found;
}

Value get_item(const Value& object, const Value& key, const Place& at) {
  if (object.undefined()) fail_at(at, "[...]", kind_of(object), "a value");
  if (key.as<Safe>() != nullptr) fail_at(at, "[...]", kind_of(key), "a string not so marked");
  if (without_elements(object)) fail_at(at, "[...]", kind_of(object), "a list", "make it | list");
  if (const std::string* name = key.text()) {
    const Value* found = object.dict() == nullptr ? nullptr : object.dict()->find(*name);
    return found == nullptr ? get_attribute(object, *name, at) : *found;
  }
  const bool sequence = object.list() != nullptr || object.text() != nullptr;
  if (!sequence || key.number() == false || key.as<double>() != nullptr)
    return Undefined{"an element"};
  const std::int64_t number = as_integer(key, "an index", at);
  const std::vector<Value> items = elements(object, at);
  const auto size = static_cast<std::int64_t>(items.size());
  const std::int64_t place = number < 0 ? number + size : number;
  if (place < 0 || place >= size) return Undefined{"element " + std::to_string(number)};
  return items[static_cast<std::size_t>(place)];
}

const Value* ArgumentReader::next(std::string_view name) {
  const auto named = std::find_if(arguments_.named.begin(), arguments_.named.end(),
                                  [&](const auto& one) { return one.first == name; });
  const bool positional = position_ < arguments_.positional.size();
  if (named != arguments_.named.end()) {
    if (positional) fail_at(at_, what_ + ": " + std::string(name), "two values", "one");
    ++named_;
    return &named->second;
  }
  return positional ? &arguments_.positional[position_++] : nullptr;
}

const Value& ArgumentReader::wanted(std::string_view name) {
  const Value* value = next(name);
  if (value == nullptr) fail_at(at_, what_, "no " + std::string(name), "a value for it");
  return *value;
}

std::string ArgumentReader::text_of(const Value& value, std::string_view name) const {
  if (value.text() == nullptr)
    fail_at(at_, what_ + ": " + std::string(name), kind_of(value), "a string");
  return *value.text();
}

void ArgumentReader::done() const {
  if (position_ < arguments_.positional.size())
    fail_at(at_, what_, std::to_string(arguments_.positional.size()) + " arguments",
            std::to_string(position_));
  if (named_ < arguments_.named.size())
    fail_at(at_, what_, "an argument that it does not have", "those it has",
            "the names given: " + arguments_.named[0].first +
                (arguments_.named.size() > 1 ? ", ..." : ""));
}

}  // namespace gracemoe::jinja
