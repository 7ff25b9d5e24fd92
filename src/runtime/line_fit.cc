#include "runtime/line_fit.h"

#include <cmath>

#include "base/error.h"

namespace gracemoe {
namespace {

double relative_error(const Line& line, std::span<const double> x, std::span<const double> y) {
  double squares = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double residual = (y[i] - line.intercept - line.slope * x[i]) / y[i];
    squares += residual * residual;
  }
  return std::sqrt(squares / static_cast<double>(x.size()));
}

}  // namespace

Line fit_line(std::span<const double> x, std::span<const double> y) {
  GM_CHECK(!x.empty() && x.size() == y.size(), "fit_line: points");
  // Of 1 = a (1 / y) + b (x / y), the normal equations.
  double aa = 0, ab = 0, bb = 0, a1 = 0, b1 = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    GM_CHECK(y[i] > 0, "fit_line: times are above 0");
    const double a = 1 / y[i], b = x[i] / y[i];
    aa += a * a, ab += a * b, bb += b * b, a1 += a, b1 += b;
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
  line.error = relative_error(line, x, y);
  return line;
}

}  // namespace gracemoe
