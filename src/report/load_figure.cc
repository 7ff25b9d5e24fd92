#include "report/load_figure.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "report/axis.h"
#include "report/page_parts.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr std::size_t kMaxLayers = 16, kOpenLayers = 6;
constexpr double kPanelWidth = 300, kPanelHeight = 112, kLeft = 34, kTop = 20, kBottom = 18;
constexpr double kPlotWidth = kPanelWidth - kLeft - 4, kPlotHeight = kPanelHeight - kTop - kBottom;

double mean_of(const std::vector<double>& loads) {
  return loads.empty()
             ? 0
             : std::accumulate(loads.begin(), loads.end(), 0.0) / static_cast<double>(loads.size());
}

std::vector<std::size_t> drawn_layers(std::size_t layers) {
  std::vector<std::size_t> drawn;
  const std::size_t count = std::min(layers, kMaxLayers);
  for (std::size_t i = 0; i < count; ++i) {
    drawn.push_back(count < 2 ? 0 : i * (layers - 1) / (count - 1));
  }
  return drawn;
}

// The common top of a figure's axes, in multiples of the mean: comparable over layers and plans.
double axis_top(std::span<const LoadColumn> columns) {
  double top = 1.5;
  for (const auto& column : columns) {
    for (const auto& loads : column.loads) top = std::max(top, max_over_mean(loads));
  }
  return top * 1.05;
}

std::string panel(const LoadColumn& column, std::size_t layer, double top) {
  const auto& loads = column.loads[layer];
  const double mean = mean_of(loads), base = kTop + kPlotHeight;
  Svg svg(kPanelWidth, kPanelHeight, fmt::format("Load of layer {}, {}", layer, column.name));
  for (const double tick : axis_ticks(top, 2)) {
    const double y = base - tick / top * kPlotHeight;
    svg.line(kLeft, y, kPanelWidth - 4, y, tick == 0 ? "axis" : "gridline");
    svg.text(kLeft - 6, y + 4, tick_label(tick), "tick end");
  }
  const double slot = kPlotWidth / static_cast<double>(std::max<std::size_t>(1, loads.size()));
  const double gap = std::min(6.0, slot * 0.2);
  for (std::size_t d = 0; d < loads.size(); ++d) {
    const double height = mean > 0 ? loads[d] / mean / top * kPlotHeight : 0;
    svg.rect(kLeft + slot * static_cast<double>(d) + gap / 2, base - height, slot - gap, height,
             fmt::format("node{}", column.node_of[d] % 6),
             fmt::format("device {} (node {}): {} of the mean", d, column.node_of[d],
                         mean > 0 ? fmt::format("{:.2f}\u00d7", loads[d] / mean) : "0"));
    if (loads.size() <= 16) {
      svg.text(kLeft + slot * (static_cast<double>(d) + 0.5), base + 14, std::to_string(d),
               "tick middle");
    }
  }
  const double y = base - kPlotHeight / top;
  svg.line(kLeft, y, kPanelWidth - 4, y, "mean");
  svg.text(kPanelWidth - 6, 12, fmt::format("{:.2f}", max_over_mean(loads)), "tick end");
  return svg.str();
}

// Columns of equal width that stay readable: what is too narrow for them scrolls.
std::string panel_table(std::span<const LoadColumn> columns, const std::string& rows) {
  return fmt::format("<table class=\"panels\" style=\"min-width:{}px\">\n{}</table>\n",
                     86 + 220 * columns.size(), rows);
}

std::string panel_row(std::span<const LoadColumn> columns, std::size_t layer, double top) {
  std::string html = fmt::format("<tr><th class=\"row\">layer {}</th>", layer);
  for (const auto& column : columns) {
    html +=
        layer < column.loads.size() ? "<td>" + panel(column, layer, top) + "</td>" : "<td></td>";
  }
  return html + "</tr>\n";
}

std::string header_row(std::span<const LoadColumn> columns) {
  std::string html = "<tr><th class=\"row\"></th>";
  for (const auto& column : columns) {
    double sum = 0, worst = 1;
    for (const auto& loads : column.loads) {
      sum += max_over_mean(loads);
      worst = std::max(worst, max_over_mean(loads));
    }
    const double layers = static_cast<double>(std::max<std::size_t>(1, column.loads.size()));
    html += fmt::format(
        "<th>{}<br><span class=\"soft\">max/mean {:.2f}, worst layer {:.2f}</span></th>",
        escape_xml(column.name), sum / layers, worst);
  }
  return html + "</tr>\n";
}

}  // namespace

LoadColumn measured_loads(const RunStatistics& run) {
  LoadColumn column{run.name, {}, {}};
  for (const auto& device : run.devices) column.node_of.push_back(device.node);
  for (const auto& layer : run.layers) {
    auto& loads = column.loads.emplace_back();
    for (const auto& device : layer) loads.push_back(static_cast<double>(device.load));
  }
  return column;
}

LoadColumn expected_loads(const RoutingStatistics& statistics, const Plan& plan,
                          const std::string& name) {
  GM_CHECK(plan.num_experts == statistics.num_experts &&
               static_cast<int>(plan.layers.size()) == statistics.layers,
           "a plan of another shape than the statistics");
  const int devices = plan.topology.devices();
  LoadColumn column{name, {}, {}};
  for (int d = 0; d < devices; ++d) column.node_of.push_back(plan.topology.node_of(d));
  for (int l = 0; l < statistics.layers; ++l) {
    auto& loads = column.loads.emplace_back(static_cast<std::size_t>(devices), 0.0);
    const auto expert_load = statistics.layer_load(l);
    const auto& experts = plan.layers[static_cast<std::size_t>(l)].experts;
    for (std::size_t e = 0; e < experts.size(); ++e) {
      double weights = 0;
      for (const auto& instance : experts[e]) weights += instance.weight;
      for (const auto& instance : experts[e]) {
        loads.at(static_cast<std::size_t>(instance.device)) +=
            expert_load[e] * instance.weight / weights;
      }
    }
  }
  return column;
}

std::string load_key_line(std::span<const LoadColumn> columns) {
  int nodes = 0;
  for (const auto& column : columns) {
    for (const int node : column.node_of) nodes = std::max(nodes, node + 1);
  }
  std::vector<KeyEntry> entries;
  for (int b = 0; b < std::min(nodes, 6); ++b)
    entries.push_back({fmt::format("node{}", b), fmt::format("devices of node {}", b)});
  entries.push_back({"", "dashed line: the layer's mean"});
  return key_line(entries);
}

std::string load_figure(std::span<const LoadColumn> columns) {
  if (columns.empty() || columns.front().loads.empty()) return "";
  const double top = axis_top(columns);
  const std::size_t layers = columns.front().loads.size();
  const auto drawn = drawn_layers(layers);
  const Folding folding = fold(drawn.size(), kOpenLayers);
  std::string rows = header_row(columns);
  for (const std::size_t i : folding.open) rows += panel_row(columns, drawn[i], top);
  std::string folded;
  for (const std::size_t i : folding.folded) folded += panel_row(columns, drawn[i], top);
  if (!folded.empty()) folded = panel_table(columns, folded);
  std::string html = "<div class=\"card scroll\">" + panel_table(columns, rows) +
                     details(fmt::format("{} more layers", folding.folded.size()), folded) +
                     "</div>\n";
  if (layers > kMaxLayers) {
    html += fmt::format(
        "<p class=\"note\">{} of {} layers are drawn, evenly spaced; the figures "
        "above the columns are over all layers.</p>\n",
        kMaxLayers, layers);
  }
  return html;
}

}  // namespace gracemoe
