#include "report/bar_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "report/axis.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr double kWidth = 550, kNameWidth = 146, kValueWidth = 124, kTop = 10, kGap = 12,
                 kAxis = 40;
constexpr double kPlotWidth = kWidth - kNameWidth - kValueWidth;
constexpr std::size_t kNameCharacters = 17;

double total(const Bar& bar) {
  double sum = 0;
  for (const auto& s : bar.segments) sum += s.value;
  return sum;
}

double height_of(const BarGroup& group) {
  double sum = 0;
  for (const auto& bar : group.bars) sum += bar.height + 3;
  return sum - 3;
}

// Cut at a whole UTF-8 character.
std::string shortened(const std::string& name) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < name.size(); ++i) {
    if ((name[i] & 0xC0) == 0x80) continue;
    if (++characters > kNameCharacters) return name.substr(0, i) + "\xe2\x80\xa6";
  }
  return name;
}

void draw_bar(Svg& svg, const std::string& name, const Bar& bar, double y, double scale,
              std::string_view unit) {
  double x = kNameWidth;
  for (const auto& s : bar.segments) {
    const auto tip = fmt::format("{}: {} {} {}", name, s.name, short_number(s.value), unit);
    svg.rect(x, y, s.value * scale, bar.height, s.css_class, tip);
    x += s.value * scale;
  }
  if (!bar.label.empty()) svg.text(x + 8, y + bar.height / 2 + 4.5, bar.label, "value");
}

}  // namespace

std::string bar_figure(std::span<const BarGroup> groups, const std::string& title,
                       const std::string& unit) {
  double bottom = kTop, most = 0;
  for (const auto& group : groups) {
    bottom += height_of(group) + kGap;
    for (const auto& bar : group.bars) most = std::max(most, total(bar));
  }
  const double scale = most > 0 ? kPlotWidth / most : 0;
  Svg svg(kWidth, bottom + kAxis, title);
  for (const double tick : axis_ticks(most, 5)) {
    const double x = kNameWidth + tick * scale;
    svg.line(x, kTop - 4, x, bottom, tick == 0 ? "axis" : "gridline");
    svg.text(x, bottom + 16, tick_label(tick), "tick middle");
  }
  svg.text(kNameWidth + kPlotWidth, bottom + 33, unit, "tick end");
  double y = kTop;
  for (const auto& group : groups) {
    const double height = height_of(group);
    svg.text(kNameWidth - 10, y + height / 2 + 4.5, shortened(group.name), "label end");
    for (const auto& bar : group.bars) {
      draw_bar(svg, group.name, bar, y, scale, unit);
      y += bar.height + 3;
    }
    y += kGap - 3;
  }
  return svg.str();
}

}  // namespace gracemoe
