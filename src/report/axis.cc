#include "report/axis.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdint>

#include "base/progress.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

double round_step(double span, int wanted) {
  const double raw = span / wanted;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  double step = 10 * power;
  for (const double factor : {5.0, 2.5, 2.0, 1.0}) {
    if (factor * power >= raw) step = factor * power;
  }
  return step;
}

}  // namespace

std::vector<double> axis_ticks(double max, int wanted) {
  if (!std::isfinite(max) || max <= 0 || wanted < 1) return {0.0};
  const double step = round_step(max, wanted);
  std::vector<double> ticks;
  for (int i = 0; i <= 2 * wanted + 1 && i * step <= max * (1 + 1e-9); ++i)
    ticks.push_back(i * step);
  return ticks;
}

std::vector<double> axis_ticks_between(double low, double high, int wanted) {
  if (!std::isfinite(low) || !std::isfinite(high) || high <= low || wanted < 1) return {low};
  const double step = round_step(high - low, wanted);
  const double first = std::ceil(low / step - 1e-9);
  std::vector<double> ticks;
  for (int i = 0; i <= 2 * wanted + 1 && (first + i) * step <= high + 1e-9 * step; ++i)
    ticks.push_back((first + i) * step);
  return ticks;
}

std::string tick_label(double value) {
  if (std::abs(value) >= 1000 && std::abs(value) < 1e15) {
    return with_commas(static_cast<std::int64_t>(std::llround(value)));
  }
  return fmt::format("{:.6g}", value);
}

std::string short_number(double value) {
  const double size = std::abs(value);
  if (!std::isfinite(value)) return "-";
  if (size == 0) return "0";
  if (size < 0.0005) return fmt::format("{:.1e}", value);
  if (size < 0.0995) return fmt::format("{:.3f}", value);
  if (size < 9.995) return fmt::format("{:.2f}", value);
  if (size < 999.5) return fmt::format("{:.1f}", value);
  return tick_label(value);
}

}  // namespace gracemoe
