#include "model/jinja/arithmetic.h"

#include <algorithm>
#include <cmath>

namespace gracemoe::jinja {
namespace {

[[noreturn]] void no_operands(const std::string& symbol, const Value& a, const Value& b,
                              const Place& at) {
  fail_at(at, "'" + symbol + "'", kind_of(a) + " and " + kind_of(b),
          symbol == "+" ? "two numbers, strings or lists" : "two numbers",
          symbol == "+" ? "~ joins values of any kind as text" : "");
}

[[noreturn]] void too_large(const std::string& symbol, const Place& at) {
  fail_at(at, "'" + symbol + "'", "a result of more than 64 bits", "a smaller one");
}

Value integer_power(std::int64_t base, std::int64_t exponent, const Place& at) {
  std::int64_t result = 1;
  if (base == 0 || base == 1) return exponent == 0 ? std::int64_t{1} : base;
  for (std::int64_t i = 0; i < exponent; ++i)
    if (i > 64 || __builtin_mul_overflow(result, base, &result)) too_large("**", at);
  return result;
}

// Rounded towards minus infinity, as Python does.
Value floor_division(std::int64_t a, std::int64_t b, bool remainder, const Place& at) {
  if (b == -1) {
    std::int64_t negated = 0;
    if (remainder) return std::int64_t{0};
    if (__builtin_sub_overflow(std::int64_t{0}, a, &negated)) too_large("//", at);
    return negated;
  }
  const std::int64_t rest = a % b;
  const bool adjust = rest != 0 && (rest < 0) != (b < 0);
  if (remainder) return adjust ? rest + b : rest;
  return adjust ? a / b - 1 : a / b;
}

Value integers(const std::string& symbol, std::int64_t a, std::int64_t b, const Place& at) {
  std::int64_t result = 0;
  bool overflow = false;
  if (symbol == "+")
    overflow = __builtin_add_overflow(a, b, &result);
  else if (symbol == "-")
    overflow = __builtin_sub_overflow(a, b, &result);
  else if (symbol == "*")
    overflow = __builtin_mul_overflow(a, b, &result);
  else if (symbol == "**")
    return integer_power(a, b, at);
  else
    return floor_division(a, b, symbol == "%", at);
  if (overflow) too_large(symbol, at);
  return result;
}

// As Python's floats divide: the quotient is of what the remainder leaves.
Value float_division(double a, double b, bool remainder) {
  double rest = std::fmod(a, b);
  double quotient = (a - rest) / b;
  if (rest == 0) {
    rest = std::copysign(0.0, b);
  } else if ((rest < 0) != (b < 0)) {
    rest += b;
    quotient -= 1;
  }
  if (remainder) return rest;
  if (quotient == 0) return std::copysign(0.0, a / b);
  const double whole = std::floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

Value float_power(double a, double b, const Place& at) {
  const double result = std::pow(a, b);
  if (!std::isfinite(result)) fail_at(at, "'**'", "a result that is no finite number", "one");
  return result;
}

Value floats(const std::string& symbol, double a, double b, const Place& at) {
  if (symbol == "+") return a + b;
  if (symbol == "-") return a - b;
  if (symbol == "*") return a * b;
  if (symbol == "/") return a / b;
  if (symbol == "**") return float_power(a, b, at);
  return float_division(a, b, symbol == "%");
}

// An integer that a double need not hold.
void refuse_inexact(const Value& number, const Place& at) {
  constexpr std::int64_t kExact = std::int64_t{1} << 53;
  const std::int64_t value = as_integer(number, "'/'", at);
  if (value > kExact || value < -kExact)
    fail_at(at, "'/'", "an integer of more than 53 bits as a float", "a smaller one");
}

Value numbers(const std::string& symbol, const Value& a, const Value& b, const Place& at) {
  const bool divides = symbol == "/" || symbol == "//" || symbol == "%";
  if (divides && as_double(b) == 0) fail_at(at, "'" + symbol + "'", "a division by zero", "");
  const bool whole = a.as<double>() == nullptr && b.as<double>() == nullptr;
  const bool stays = symbol != "/" && !(symbol == "**" && as_double(b) < 0);
  if (whole && stays)
    return integers(symbol, as_integer(a, symbol, at), as_integer(b, symbol, at), at);
  if (whole && symbol == "/") {  // Python rounds the quotient once, not its operands
    refuse_inexact(a, at);
    refuse_inexact(b, at);
  }
  return floats(symbol, as_double(a), as_double(b), at);
}

// A string or list so many times; nullptr operands where it is neither.
Value repeated(const Value& value, std::int64_t times, const Place& at) {
  if (const std::string* text = value.text()) {
    std::string result;
    for (std::int64_t i = 0; i < times && !text->empty(); ++i) result += *text;
    return result;
  }
  std::vector<Value> items;
  const std::vector<Value>& once = value.list()->items;
  for (std::int64_t i = 0; i < times && !once.empty(); ++i)
    items.insert(items.end(), once.begin(), once.end());
  return make_list(std::move(items), at, value.list()->kind);
}

bool is_list(const Value& value) {
  return value.sequence(Sequence::kList) || value.sequence(Sequence::kTuple);
}
bool is_sequence(const Value& value) {
  return value.text() != nullptr || is_list(value);
}
bool is_whole(const Value& value) {
  return value.number() && value.as<double>() == nullptr;
}

Value joined(const Value& a, const Value& b, const Place& at) {
  if (a.text() != nullptr && b.text() != nullptr) return *a.text() + *b.text();
  if (!is_list(a) || !is_list(b) || a.list()->kind != b.list()->kind) no_operands("+", a, b, at);
  std::vector<Value> items = a.list()->items;
  items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
  return make_list(std::move(items), at, a.list()->kind);
}

}  // namespace

Value apply_arithmetic(const std::string& symbol, const Value& a, const Value& b, const Place& at) {
  if (symbol == "~") return to_text(a, at) + to_text(b, at);
  if (a.number() && b.number()) return numbers(symbol, a, b, at);
  if (symbol == "+") return joined(a, b, at);
  if (symbol == "*" && is_sequence(a) && is_whole(b)) return repeated(a, as_integer(b, "", at), at);
  if (symbol == "*" && is_sequence(b) && is_whole(a)) return repeated(b, as_integer(a, "", at), at);
  no_operands(symbol, a, b, at);
}

Value signed_number(const Value& number, bool minus, const Place& at) {
  if (!number.number()) fail_at(at, minus ? "'-'" : "'+'", kind_of(number), "a number");
  if (const double* value = number.as<double>()) return minus ? -*value : *value;
  return integers(minus ? "-" : "+", 0, as_integer(number, "", at), at);
}

std::int64_t repeated_size(const Value& a, const Value& b) {
  const Value& sequence = is_sequence(a) ? a : b;
  const Value& times = is_sequence(a) ? b : a;
  if (!is_sequence(sequence) || !is_whole(times)) return 0;
  const std::string* text = sequence.text();
  const auto once = static_cast<std::int64_t>(text != nullptr ? text->size()
                                                              : sequence.list()->items.size() * 16);
  const std::int64_t count = std::max<std::int64_t>(0, as_integer(times, "", {}));
  std::int64_t size = 0;
  return __builtin_mul_overflow(once, count, &size) ? INT64_MAX : size;
}

}  // namespace gracemoe::jinja
