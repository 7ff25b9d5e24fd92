#include "report/plan_figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/axis.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr double kWidth = 1120, kHeight = 220, kLeft = 46, kTop = 10, kBottom = 40;
constexpr double kPlotWidth = kWidth - kLeft - 6, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kMaxSlot = 150;     // few layers do not become walls
constexpr std::size_t kColours = 5;  // plan0 .. plan4 of the style sheet

std::size_t layers_of(std::span<const PlanOutcome> outcomes) {
  return outcomes.empty() ? 0 : outcomes.front().metrics.layers.size();
}

double most_visited(std::span<const PlanOutcome> outcomes) {
  double most = 0;
  for (const auto& outcome : outcomes) {
    for (const auto& layer : outcome.metrics.layers) most = std::max(most, layer.nodes_visited);
  }
  return most;
}

std::string plan_row(const PlanOutcome& outcome) {
  const auto& m = outcome.metrics.total;
  return "<tr><td>" + escape_xml(outcome.name) +
         fmt::format(
             "</td><td>{:.3f}</td><td>{:.1f}%</td><td>{:.3f}</td><td>{:.3f}</td>"
             "<td>{:.2f}</td><td>{}</td><td>{:.1f}%</td></tr>\n",
             m.nodes_visited, 100 * m.crossing_share, m.devices_visited, m.crossing_copies,
             m.load_max_over_mean, m.copies, 100 * m.extra_memory);
}

std::string plan_key_line(std::span<const PlanOutcome> outcomes) {
  std::string html = "<div class=\"keyline\">";
  for (std::size_t p = 0; p < outcomes.size(); ++p) {
    html += fmt::format("<span><i class=\"plan{}\"></i>{}</span>", p % kColours,
                        escape_xml(outcomes[p].name));
  }
  return html + "</div>\n";
}

void draw_axes(Svg& svg, double top, double right) {
  for (const double tick : axis_ticks(top, 4)) {
    const double y = kTop + kPlotHeight * (1 - tick / top);
    svg.line(kLeft, y, right, y, tick == 0 ? "axis" : "gridline");
    svg.text(kLeft - 8, y + 4, tick_label(tick), "tick end");
  }
}

}  // namespace

std::string plan_table(std::span<const PlanOutcome> outcomes) {
  std::string html =
      "<table class=\"figures\">\n<tr><th>plan</th><th>other nodes<br>a token visits</th>"
      "<th>tokens<br>that cross</th><th>other devices<br>a token visits</th>"
      "<th>pairs served on<br>another node, a token</th><th>load<br>max/mean</th>"
      "<th>copies of<br>experts</th><th>extra<br>memory</th></tr>\n";
  for (const auto& outcome : outcomes) html += plan_row(outcome);
  return html + "</table>\n";
}

std::string visits_figure(std::span<const PlanOutcome> outcomes) {
  const std::size_t layers = layers_of(outcomes);
  const double top = most_visited(outcomes) * 1.02;
  if (layers == 0 || top <= 0) return "";
  const double slot = std::min(kMaxSlot, kPlotWidth / static_cast<double>(layers));
  const double bar = slot * 0.76 / static_cast<double>(outcomes.size());
  const double right = kLeft + slot * static_cast<double>(layers);
  Svg svg(right + 6, kHeight, "Other nodes that a token visits, layer by layer");
  draw_axes(svg, top, right);
  for (std::size_t l = 0; l < layers; ++l) {
    const double x = kLeft + slot * (static_cast<double>(l) + 0.12);
    for (std::size_t p = 0; p < outcomes.size(); ++p) {
      const double value = outcomes[p].metrics.layers[l].nodes_visited;
      const double height = value / top * kPlotHeight;
      svg.rect(x + bar * static_cast<double>(p), kTop + kPlotHeight - height, bar - 1, height,
               fmt::format("plan{}", p % kColours),
               fmt::format("{}, layer {}: {:.3f}", outcomes[p].name, l, value));
    }
    svg.text(kLeft + slot * (static_cast<double>(l) + 0.5), kHeight - 24, std::to_string(l),
             "tick middle");
  }
  svg.text(right, kHeight - 6, "layer", "tick end");
  return plan_key_line(outcomes) + svg.str();
}

LoadColumn replayed_loads(const PlanOutcome& outcome) {
  LoadColumn column{outcome.name, {}, {}};
  for (int d = 0; d < outcome.topology.devices(); ++d) {
    column.node_of.push_back(outcome.topology.node_of(d));
  }
  for (const auto& layer : outcome.metrics.layers) {
    column.loads.emplace_back(layer.load.begin(), layer.load.end());
  }
  return column;
}

}  // namespace gracemoe
