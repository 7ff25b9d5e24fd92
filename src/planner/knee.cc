#include "planner/knee.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"

namespace gracemoe {

std::size_t knee(std::span<const RatioPoint> curve) {
  GM_CHECK(!curve.empty(), "knee of no curve");
  // Several ratios may give the same S; of these only the best U can be the knee.
  std::vector<std::size_t> order(curve.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    if (curve[a].deviation != curve[b].deviation) return curve[a].deviation < curve[b].deviation;
    return curve[a].utilisation > curve[b].utilisation;
  });
  const RatioPoint& first = curve[order.front()];
  const double last_deviation = curve[order.back()].deviation;
  const auto last = std::find_if(order.begin(), order.end(), [&](std::size_t i) {
    return curve[i].deviation == last_deviation;
  });
  const auto [least, most] = std::minmax_element(
      curve.begin(), curve.end(),
      [](const auto& a, const auto& b) { return a.utilisation < b.utilisation; });
  const double width = last_deviation - first.deviation;
  const double height = most->utilisation - least->utilisation;
  if (!(width > 0) || !(height > 0)) return order.front();

  const double end_rise = (curve[*last].utilisation - first.utilisation) / height;
  std::size_t best = order.front();
  double best_above = 1e-12;  // rounding alone puts no point above the chord
  for (const std::size_t i : order) {
    const double s = (curve[i].deviation - first.deviation) / width;
    const double above = (curve[i].utilisation - first.utilisation) / height - end_rise * s;
    if (above > best_above) best = i, best_above = above;
  }
  return best;
}

}  // namespace gracemoe
