#include "report/run_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "report/axis.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

struct Segment {
  double value;
  std::string_view css_class;
  std::string_view name;
};
struct Bar {
  std::vector<Segment> segments;
  double height;
  std::string label;  // right of the bar
};
struct BarGroup {
  std::string name;
  std::vector<Bar> bars;
};

constexpr double kWidth = 550, kNameWidth = 146, kValueWidth = 108, kTop = 10, kGap = 12,
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

std::string draw(const std::vector<BarGroup>& groups, std::string_view title,
                 std::string_view unit) {
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

BarGroup time_group(const RunStatistics& run, double first_s) {
  const double exchange = std::min(mean_all_to_all_s(run), run.end_to_end_s);
  const double experts = std::min(mean_expert_compute_s(run), run.end_to_end_s - exchange);
  auto label = short_number(run.end_to_end_s) + " s";
  if (run.end_to_end_s > 0 && first_s > 0) {
    label += fmt::format(" \u00b7 {:.2f}\u00d7", first_s / run.end_to_end_s);
  }
  return {run.name,
          {{{{exchange, "all-to-all", "all-to-all"},
             {experts, "experts", "experts"},
             {run.end_to_end_s - exchange - experts, "rest", "the rest"}},
            22,
            label}}};
}

BarGroup traffic_group(const RunStatistics& run) {
  const auto t = total_traffic(run);
  const auto mb = [](std::int64_t bytes) { return 1e-6 * static_cast<double>(bytes); };
  return {run.name,
          {{{{mb(t.dispatch_payload.cross_node), "cross-dispatch", "across nodes, dispatch"},
             {mb(t.combine_payload.cross_node), "cross-combine", "across nodes, combine"}},
            16,
            short_number(cross_node_mb(run)) + " MB"},
           {{{mb(t.payload().intra_node), "intra", "inside nodes"}}, 6, ""}}};
}

}  // namespace

std::string time_figure(std::span<const RunStatistics> runs) {
  std::vector<BarGroup> groups;
  for (const auto& run : runs) groups.push_back(time_group(run, runs.front().end_to_end_s));
  return draw(groups, "End-to-end time of every run, split in all-to-all, experts and the rest",
              "seconds");
}

std::string traffic_figure(std::span<const RunStatistics> runs) {
  std::vector<BarGroup> groups;
  for (const auto& run : runs) groups.push_back(traffic_group(run));
  return draw(groups, "Payload of every run across nodes and inside nodes", "megabytes");
}

}  // namespace gracemoe
