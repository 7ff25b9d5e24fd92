#include "report/plot.h"

#include <algorithm>

namespace gracemoe {
namespace {

double share(const PlotRange& range, double value) {
  return range.high > range.low ? (value - range.low) / (range.high - range.low) : 0.5;
}

}  // namespace

double Plot::px(double x) const {
  return box_.x + share(x_, x) * box_.width;
}

double Plot::py(double y) const {
  return box_.y + (1 - share(y_, y)) * box_.height;
}

void Plot::x_axis(std::span<const Tick> ticks, std::string_view title) {
  const double base = box_.y + box_.height;
  svg_.line(box_.x, base, box_.x + box_.width, base, "axis");
  for (const auto& tick : ticks) {
    svg_.line(px(tick.value), base, px(tick.value), base + 4, "axis");
    svg_.text(px(tick.value), base + 18, tick.label, "tick middle");
  }
  if (!title.empty()) svg_.text(box_.x + box_.width, base + 35, title, "tick end");
}

void Plot::y_axis(std::span<const Tick> ticks) {
  for (const auto& tick : ticks) {
    svg_.line(box_.x, py(tick.value), box_.x + box_.width, py(tick.value), "gridline");
    svg_.text(box_.x - 7, py(tick.value) + 4, tick.label, "tick end");
  }
}

void Plot::curve(const Points& points, std::string_view css_class) {
  Points drawn;
  drawn.reserve(points.size());
  for (const auto& [x, y] : points) drawn.emplace_back(px(x), py(y));
  svg_.polyline(drawn, css_class);
}

void Plot::dot(std::pair<double, double> at, double radius, std::string_view css_class,
               std::string_view tooltip) {
  svg_.circle(px(at.first), py(at.second), radius, css_class, tooltip);
}

void Plot::label(std::pair<double, double> at, std::string_view text) {
  const double x = px(at.first), y = std::max(box_.y + 10, py(at.second) - 10);
  const double wide = 7.0 * static_cast<double>(text.size());
  const bool left = x + wide > box_.x + box_.width;
  svg_.text(left ? x - 6 : x + 6, y, text, left ? "value end" : "value");
}

}  // namespace gracemoe
