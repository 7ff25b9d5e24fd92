// The values that a chat template computes with: Python's, as far as the published templates need
// them. Cheap to copy; lists and mappings are shared and never change once made.
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/json.h"

namespace gracemoe::jinja {

// Where in the template something stands: what errors begin with.
struct Place {
  std::string_view name;  // of the template
  int line = 0;
};
// Error (kInput): "NAME: line L: what: got ..., wanted ...".
// Without an action: to correct the template.
[[noreturn]] void fail_at(const Place& at, const std::string& what, const std::string& got,
                          const std::string& wanted, const std::string& action = "");

class Value;

struct Undefined {
  std::string name;  // of what is missing
};
struct None {};
// What Python has in a list's place: each can do something that another cannot.
enum class Sequence {
  kList,
  kTuple,
  kRange,
  kView,      // keys(), values() and items() of a mapping: without an order to index
  kIterator,  // what map, select, ... give: true, without a length, and gone through once
};
struct List {
  std::vector<Value> items;
  Sequence kind = Sequence::kList;
  int depth = 1;  // lists and mappings inside each other: bounded, so that recursion over them is
  std::int64_t weight = 0;     // values and bytes of strings in it, bounded likewise
  mutable bool taken = false;  // an iterator that has been gone through
};
struct Dict {
  std::vector<std::pair<std::string, Value>> items;  // in the order they were given
  int depth = 1;
  std::int64_t weight = 0;
  const Value* find(std::string_view key) const;
};
// namespace(...), whose items change, and `loop`, whose do not.
struct Namespace {
  std::map<std::string, Value, std::less<>> items;
  bool fixed = false;
};
// A string that | safe gave. Python's kind of it escapes what is added to it: here it can only be
// printed and joined with ~.
struct Safe {
  std::string text;
};

struct Arguments {
  std::vector<Value> positional;
  std::vector<std::pair<std::string, Value>> named;
};
// A macro, a global function or a method with its object. May only be called.
struct Callable {
  std::string name;
  std::function<Value(const Arguments&, const Place&)> call;
};

class Value {
 public:
  using Data = std::variant<Undefined, None, bool, std::int64_t, double, std::string, Safe,
                            std::shared_ptr<const List>, std::shared_ptr<const Dict>,
                            std::shared_ptr<Namespace>, std::shared_ptr<const Callable>>;
  Value() : data_(None{}) {}
  template <typename T>  // NOLINTNEXTLINE
  requires(!std::is_same_v<std::decay_t<T>, Value>) Value(T&& data)
      : data_(std::forward<T>(data)) {}
  Value(int number) : data_(std::int64_t{number}) {}     // NOLINT(google-explicit-constructor)
  Value(const char* text) : data_(std::string(text)) {}  // NOLINT(google-explicit-constructor)

  template <typename T>
  const T* as() const {
    return std::get_if<T>(&data_);
  }
  const List* list() const { return pointee<List>(); }
  const Dict* dict() const { return pointee<Dict>(); }
  Namespace* name_space() const {
    const auto* pointer = as<std::shared_ptr<Namespace>>();
    return pointer == nullptr ? nullptr : pointer->get();
  }
  const Callable* callable() const { return pointee<Callable>(); }
  const std::string* text() const { return as<std::string>(); }
  bool undefined() const { return as<Undefined>() != nullptr; }
  bool none() const { return as<None>() != nullptr; }
  bool number() const;  // bool is a number, as in Python
  bool sequence(Sequence kind) const { return list() != nullptr && list()->kind == kind; }

 private:
  template <typename T>
  const T* pointee() const {
    const auto* pointer = as<std::shared_ptr<const T>>();
    return pointer == nullptr ? nullptr : pointer->get();
  }
  Data data_;
};

// Errors: nested deeper than kMaxDepth; heavier than kMaxWeight; a function, a namespace, a view or
// an iterator inside.
constexpr int kMaxDepth = 100;
constexpr std::int64_t kMaxWeight = std::int64_t{1} << 24;
Value make_list(std::vector<Value> items, const Place& at, Sequence kind = Sequence::kList);
Value make_dict(std::vector<std::pair<std::string, Value>> items, const Place& at);
// Numbers beyond 64 bits are Errors.
Value from_json(const OrderedJson& json, const Place& at);

bool truth(const Value& value);
// "a string", "an undefined value (x)", ...: for errors.
std::string kind_of(const Value& value);
// Values and bytes of strings that whoever goes through all of it meets.
std::int64_t weight_of(const Value& value);
// What {{ value }} prints: Python's str. Error: a range, view, iterator, namespace or function.
std::string to_text(const Value& value, const Place& at);
// json.dumps(value, ensure_ascii=False, indent=indent); indent < 0: on one line.
std::string to_json(const Value& value, int indent, const Place& at);
// Python's repr of a float: the shortest digits that read back.
std::string float_text(double number);

// Python's ==; numbers of all kinds compare by value. Error: a view or an iterator.
bool equal(const Value& a, const Value& b, const Place& at);
// a < b for two numbers or two strings. Error for others.
bool less(const Value& a, const Value& b, const Place& at);
bool less_or_equal(const Value& a, const Value& b, const Place& at);
// `needle in haystack`.
bool contains(const Value& haystack, const Value& needle, const Place& at);
// The elements a for loop visits: of a list, a mapping's keys, a string's characters, none of an
// undefined value. Error for others, and for an iterator's second time.
std::vector<Value> elements(const Value& value, const Place& at);
// As Python's int and float together see it. The value must be a number.
double as_double(const Value& value);
// An int or bool. Error for others.
std::int64_t as_integer(const Value& value, const std::string& what, const Place& at);

}  // namespace gracemoe::jinja
