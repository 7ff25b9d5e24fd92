// Python's arithmetic. Integers have 64 bits: an Error where Python's would be longer.
#pragma once
#include <cstdint>
#include <string>

#include "model/jinja/value.h"

namespace gracemoe::jinja {

// symbol: one of + - * / // % ** ~. Errors: operands that do not go together, a division by zero.
Value apply_arithmetic(const std::string& symbol, const Value& a, const Value& b, const Place& at);
// +number or -number.
Value signed_number(const Value& number, bool minus, const Place& at);
// Bytes that a * b will have where one is a string or list; known before they are made.
std::int64_t repeated_size(const Value& a, const Value& b);

}  // namespace gracemoe::jinja
