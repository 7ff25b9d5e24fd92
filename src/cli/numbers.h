// What the command line takes as a number. CLI11's own ranges let NaN pass, and tell their limits
// with 300 digits.
#pragma once
#include <CLI/CLI.hpp>

namespace gracemoe {

// Checks of an option's text, for ->check(): a finite number, so large at least, above, or between
// the two, limits included. Messages such as "got 'nan', wanted a number of at least 0".
CLI::Validator finite_number();
CLI::Validator number_from(double least);
CLI::Validator number_above(double limit);
CLI::Validator number_between(double least, double most);

}  // namespace gracemoe
