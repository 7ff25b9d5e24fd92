// A straight line through measured times.
#pragma once
#include <span>

namespace gracemoe {

struct Line {
  double intercept = 0, slope = 0;
  double error = 0;  // root mean square of the relative residuals
};

// Least squares of the *relative* residuals ((y - a - b x) / y): sizes and times span orders of
// magnitude, and plain least squares would leave the small ones, which tell the latency, to chance.
// Neither figure is below 0: where one would be, it is 0 and the other is fitted alone. All y > 0,
// the same number of x and y, at least one; one point, or one x only, gives a line through 0.
Line fit_line(std::span<const double> x, std::span<const double> y);

}  // namespace gracemoe
