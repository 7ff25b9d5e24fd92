// Round numbers for axes.
#pragma once
#include <string>
#include <vector>

namespace gracemoe {

// Multiples of a step of 1, 2, 2.5 or 5 times a power of ten, from 0 up to at most `max`; about
// `wanted` of them, never more than 2 * wanted + 2. {0} if max is not positive and finite.
std::vector<double> axis_ticks(double max, int wanted);

// The same steps from `low` (not itself a tick unless round) to `high`; {low} if the range is empty
// or not finite.
std::vector<double> axis_ticks_between(double low, double high, int wanted);

// Short: "0", "0.25", "12", "1,500".
std::string tick_label(double value);

// About three digits, for a value beside a bar: "0.042", "3.1", "48.2", "1,234".
std::string short_number(double value);

}  // namespace gracemoe
