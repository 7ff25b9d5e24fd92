// Tests: value is name(arguments).
#include "model/jinja/builtins.h"

namespace gracemoe::jinja {
namespace {

template <auto holds>
bool plain(const Value& value, const Arguments& arguments, const Place& at) {
  ArgumentReader(arguments, "a test", at).done();
  return holds(value, at);
}

template <bool (*holds)(const Value&, const Value&, const Place&)>
bool against(const Value& value, const Arguments& arguments, const Place& at) {
  ArgumentReader reader(arguments, "a test", at);
  const Value other = reader.wanted("other");
  reader.done();
  return holds(value, other, at);
}

bool same(const Value& a, const Value& b, const Place& at) {
  return equal(a, b, at);
}
bool different(const Value& a, const Value& b, const Place& at) {
  return !equal(a, b, at);
}
bool smaller(const Value& a, const Value& b, const Place& at) {
  return less(a, b, at);
}
bool no_larger(const Value& a, const Value& b, const Place& at) {
  return less_or_equal(a, b, at);
}
bool no_smaller(const Value& a, const Value& b, const Place& at) {
  return less_or_equal(b, a, at);
}
bool larger(const Value& a, const Value& b, const Place& at) {
  return less(b, a, at);
}
bool within(const Value& a, const Value& b, const Place& at) {
  return contains(b, a, at);
}
bool divisible(const Value& a, const Value& b, const Place& at) {
  const std::int64_t divisor = as_integer(b, "divisibleby", at);
  if (divisor == 0) fail_at(at, "divisibleby", "0", "another integer");
  return divisor == -1 || as_integer(a, "divisibleby", at) % divisor == 0;
}

bool is_defined(const Value& v, const Place&) {
  return !v.undefined();
}
bool is_undefined(const Value& v, const Place&) {
  return v.undefined();
}
bool is_none(const Value& v, const Place&) {
  return v.none();
}
bool is_true(const Value& v, const Place&) {
  return v.as<bool>() != nullptr && *v.as<bool>();
}
bool is_false(const Value& v, const Place&) {
  return v.as<bool>() != nullptr && !*v.as<bool>();
}
template <typename T>
bool is_a(const Value& v, const Place&) {
  return v.as<T>() != nullptr;
}
bool is_number(const Value& v, const Place&) {
  return v.number();
}
bool is_mapping(const Value& v, const Place&) {
  return v.dict() != nullptr;
}
void refuse_loop(const Value& v, const Place& at) {
  if (v.name_space() != nullptr && v.name_space()->fixed)
    fail_at(at, "a test", kind_of(v), "one of its values: loop.index, loop.first, ...");
}
// In Python an undefined value of Jinja's can be called, has a length and elements: none.
bool is_callable(const Value& v, const Place& at) {
  refuse_loop(v, at);
  return v.callable() != nullptr || v.undefined();
}
bool is_string(const Value& v, const Place&) {
  return v.text() != nullptr || v.as<Safe>() != nullptr;
}
bool is_odd(const Value& v, const Place& at) {
  return as_integer(v, "odd", at) % 2 != 0;
}
bool is_even(const Value& v, const Place& at) {
  return as_integer(v, "even", at) % 2 == 0;
}
bool is_iterable(const Value& v, const Place& at) {
  refuse_loop(v, at);
  return is_string(v, at) || v.list() != nullptr || v.dict() != nullptr || v.undefined();
}
bool is_sequence(const Value& v, const Place& at) {
  const bool lazy = v.sequence(Sequence::kView) || v.sequence(Sequence::kIterator);
  return is_iterable(v, at) && !lazy;
}

const std::map<std::string, Test>& tests() {
  static const std::map<std::string, Test> kTests{{"boolean", plain<is_a<bool>>},
                                                  {"callable", plain<is_callable>},
                                                  {"defined", plain<is_defined>},
                                                  {"divisibleby", against<divisible>},
                                                  {"eq", against<same>},
                                                  {"equalto", against<same>},
                                                  {"even", plain<is_even>},
                                                  {"false", plain<is_false>},
                                                  {"float", plain<is_a<double>>},
                                                  {"greaterthan", against<larger>},
                                                  {"gt", against<larger>},
                                                  {"in", against<within>},
                                                  {"integer", plain<is_a<std::int64_t>>},
                                                  {"iterable", plain<is_iterable>},
                                                  {"lessthan", against<smaller>},
                                                  {"lt", against<smaller>},
                                                  {"mapping", plain<is_mapping>},
                                                  {"ne", against<different>},
                                                  {"ge", against<no_smaller>},
                                                  {"le", against<no_larger>},
                                                  {"==", against<same>},
                                                  {"!=", against<different>},
                                                  {"<", against<smaller>},
                                                  {"<=", against<no_larger>},
                                                  {">", against<larger>},
                                                  {">=", against<no_smaller>},
                                                  {"none", plain<is_none>},
                                                  {"number", plain<is_number>},
                                                  {"odd", plain<is_odd>},
                                                  {"sequence", plain<is_sequence>},
                                                  {"string", plain<is_string>},
                                                  {"true", plain<is_true>},
                                                  {"undefined", plain<is_undefined>}};
  return kTests;
}

}  // namespace

Test find_test(const std::string& name) {
  const auto found = tests().find(name);
  return found == tests().end() ? nullptr : found->second;
}

bool test_walks(const std::string& name) {
  for (const char* one : {"eq", "equalto", "==", "ne", "!=", "in"})
    if (name == one) return true;
  return false;
}

std::string test_names() {
  std::string names;
  for (const auto& [name, test] : tests()) names += (names.empty() ? "" : ", ") + name;
  return names;
}

}  // namespace gracemoe::jinja
