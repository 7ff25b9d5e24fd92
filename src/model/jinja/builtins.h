// Filters, tests, methods and functions that templates may use.
#pragma once
#include <optional>
#include <string>

#include "model/jinja/value.h"

namespace gracemoe::jinja {

// nullptr: no such one.
using Filter = Value (*)(const Value&, const Arguments&, const Place&);
Filter find_filter(const std::string& name);
using Test = bool (*)(const Value&, const Arguments&, const Place&);
Test find_test(const std::string& name);
// Whether it goes through all of its values, as == does.
bool test_walks(const std::string& name);
// "a, b, c" for errors.
std::string filter_names();
std::string test_names();

// A method of a string or mapping, bound to it; nullopt where Python has no such one either. Error:
// one that Python has and we have not.
std::optional<Value> find_method(const Value& object, std::string_view name, const Place& at);
// range, namespace, raise_exception; nullopt: no such one.
std::optional<Value> find_function(std::string_view name);

// object.name and object[key], undefined where there is none. Errors: the object is undefined, or
// the key is of no use for it.
Value get_attribute(const Value& object, std::string_view name, const Place& at);
Value get_item(const Value& object, const Value& key, const Place& at);

// Reads arguments one by one, as Python binds them: the n-th, or by its name.
class ArgumentReader {
 public:
  ArgumentReader(const Arguments& arguments, std::string what, const Place& at)
      : arguments_(arguments), what_(std::move(what)), at_(at) {}
  // nullptr where it is not given.
  const Value* next(std::string_view name);
  const Value& wanted(std::string_view name);  // Error where it is not given
  std::string text_of(const Value& value, std::string_view name) const;  // Error: not a string
  // Error: an argument nobody asked for.
  void done() const;

 private:
  const Arguments& arguments_;
  std::string what_;
  const Place& at_;
  std::size_t position_ = 0;
  std::size_t named_ = 0;  // read by name
};

}  // namespace gracemoe::jinja
