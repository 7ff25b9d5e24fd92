#include "runtime/line_fit.h"

#include <cmath>

#include "base/error.h"

namespace gracemoe {
namespace {

double weighted_error(const Line& line, std::span<const double> x, std::span<const double> y) {
  double squares = 0, time = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double residual = y[i] - line.intercept - line.slope * x[i];
    squares += residual * residual / y[i];
    time += y[i];
  }
  return std::sqrt(squares / time);
}

}  // namespace

Line fit_line(std::span<const double> x, std::span<const double> y) {
  GM_CHECK(!x.empty() && x.size() == y.size(), "fit_line: points");
  // The normal equations.
  double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    GM_CHECK(y[i] > 0, "fit_line: times are above 0");
    const double w = 1 / y[i];
    aa += w, ab += w * x[i], bb += w * x[i] * x[i], a1 += 1, b1 += x[i];
  }
  Line line;
  const double determinant = aa * bb - ab * ab;
  const bool two_unknowns = determinant > 1e-12 * aa * bb;
  if (two_unknowns) {
    line.intercept = (a1 * bb - b1 * ab) / determinant;
    line.slope = (b1 * aa - a1 * ab) / determinant;
  }
  if (two_unknowns ? line.intercept < 0 : bb > 0) {
    line = {0, b1 / bb, 0};
  } else if (!two_unknowns || line.slope < 0) {
    line = {a1 / aa, 0, 0};
  }
  line.error = weighted_error(line, x, y);
  return line;
}

}  // namespace gracemoe
