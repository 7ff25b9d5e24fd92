#include "report/plan_figures.h"

#include <fmt/format.h>

#include <algorithm>

#include "report/axis.h"
#include "report/bar_figure.h"
#include "report/evaluation.h"
#include "report/page_parts.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr double kWidth = 1120, kHeight = 220, kLeft = 46, kTop = 10, kBottom = 40;
constexpr double kPlotWidth = kWidth - kLeft - 6, kPlotHeight = kHeight - kTop - kBottom;
constexpr double kMaxSlot = 150;  // few layers do not become walls
constexpr std::size_t kMaxBins = 10;

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

double worst_layer(const PlanMetrics& metrics) {
  double worst = 0;
  for (const auto& layer : metrics.layers) worst = std::max(worst, layer.load_max_over_mean);
  return worst;
}

std::string plan_row(const PlanOutcome& outcome, double first, bool best) {
  const auto& m = outcome.metrics.total;
  return fmt::format("<tr{}><td>{}", best ? " class=\"best\"" : "", escape_xml(outcome.name)) +
         fmt::format(
             "</td><td>{:.3f}</td><td>{:.1f}%</td><td>{:.3f}</td><td>{:.2f}</td><td>{:.2f}</td>"
             "<td>{}</td><td>{}</td><td>{:.1f}%</td><td>{}</td></tr>\n",
             m.nodes_visited, 100 * m.crossing_share, m.devices_visited, m.load_max_over_mean,
             worst_layer(outcome.metrics), short_number(m.load_std), m.copies, 100 * m.extra_memory,
             percent_change(first, m.nodes_visited, 1));
}

std::vector<std::string> names_of(std::span<const PlanOutcome> outcomes) {
  std::vector<std::string> names;
  for (const auto& outcome : outcomes) names.push_back(outcome.name);
  return names;
}

// Share of the tokens (all layers together) that visit exactly v other nodes, the last bin those
// that visit as many or more. [bins]
std::vector<double> spread_of(const RoutingMetrics& m, std::size_t bins) {
  std::vector<double> share(bins);
  if (m.tokens == 0) return share;
  for (std::size_t v = 0; v < m.visits.size(); ++v)
    share[std::min(v, bins - 1)] +=
        static_cast<double>(m.visits[v]) / static_cast<double>(m.tokens);
  return share;
}

// Bins up to the most nodes that any token visits.
std::size_t bins_of(std::span<const PlanOutcome> outcomes) {
  std::size_t bins = 0;
  for (const auto& outcome : outcomes) {
    const auto& visits = outcome.metrics.total.visits;
    for (std::size_t v = 0; v < visits.size(); ++v)
      if (visits[v] > 0) bins = std::max(bins, v + 1);
  }
  return std::min(bins, kMaxBins);
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
      "<th>load<br>max/mean</th><th>worst<br>layer</th><th>load std<br>pairs</th>"
      "<th>copies of<br>experts</th><th>extra<br>memory</th><th>visits<br>against ";
  html += (outcomes.empty() ? "" : escape_xml(outcomes.front().name)) + "</th></tr>\n";
  double first = 0, fewest = 0;
  for (const auto& outcome : outcomes) {
    const double visited = outcome.metrics.total.nodes_visited;
    if (&outcome == &outcomes.front()) first = fewest = visited;
    fewest = std::min(fewest, visited);
  }
  for (const auto& outcome : outcomes) {
    html +=
        plan_row(outcome, first, fewest < first && outcome.metrics.total.nodes_visited == fewest);
  }
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
               plan_class(p), fmt::format("{}, layer {}: {:.3f}", outcomes[p].name, l, value));
    }
    svg.text(kLeft + slot * (static_cast<double>(l) + 0.5), kHeight - 24, std::to_string(l),
             "tick middle");
  }
  svg.text(right, kHeight - 6, "layer", "tick end");
  return plan_key_line(names_of(outcomes)) + svg.str();
}

std::string spread_figure(std::span<const PlanOutcome> outcomes) {
  constexpr double kW = 550, kH = 250, kL = 46, kT = 22, kField = 178;
  const std::size_t bins = bins_of(outcomes);
  if (bins == 0) return "";
  std::vector<std::vector<double>> shares;
  double top = 0;
  for (const auto& outcome : outcomes) {
    shares.push_back(spread_of(outcome.metrics.total, bins));
    top = std::max(top, *std::max_element(shares.back().begin(), shares.back().end()));
  }
  Svg svg(kW, kH, "Share of the tokens that visit so many other nodes");
  for (const double tick : axis_ticks(100 * top, 4)) {
    const double y = kT + kField * (1 - tick / 100 / top);
    svg.line(kL, y, kW - 4, y, tick == 0 ? "axis" : "gridline");
    svg.text(kL - 8, y + 4, tick_label(tick) + "%", "tick end");
  }
  const double slot = (kW - kL - 4) / static_cast<double>(bins);
  const double bar = std::min(64.0, slot * 0.8 / static_cast<double>(outcomes.size()));
  for (std::size_t v = 0; v < bins; ++v) {
    const double middle = kL + slot * (static_cast<double>(v) + 0.5);
    const bool more = v + 1 == kMaxBins;
    const auto name = std::to_string(v) + (more ? " or more" : "");
    for (std::size_t p = 0; p < outcomes.size(); ++p) {
      const double x =
          middle + bar * (static_cast<double>(p) - static_cast<double>(outcomes.size()) / 2);
      const double height = shares[p][v] / top * kField;
      const auto percent = fmt::format("{:.1f}%", 100 * shares[p][v]);
      svg.rect(x, kT + kField - height, bar - 2, height, plan_class(p),
               fmt::format("{}: {} of the tokens visit {} other nodes", outcomes[p].name, percent,
                           name));
      if (bar >= 40) svg.text(x + bar / 2 - 1, kT + kField - height - 6, percent, "tick middle");
    }
    svg.text(middle, kT + kField + 18, more ? name + "+" : name, "tick middle");
  }
  svg.text(kW - 4, kT + kField + 38, "other nodes visited", "tick end");
  return plan_key_line(names_of(outcomes)) + svg.str();
}

std::string rows_figure(std::span<const PlanOutcome> outcomes) {
  std::vector<BarGroup> groups;
  for (const auto& outcome : outcomes) {
    const auto& m = outcome.metrics.total;
    const auto bar = [&](std::int64_t rows, const std::string& css_class, const std::string& name) {
      const double value =
          static_cast<double>(rows) / static_cast<double>(std::max<std::int64_t>(1, m.tokens));
      return Bar{{{value, css_class, name}}, 13, fmt::format("{:.2f}", value)};
    };
    const auto& rows = m.cross_node_rows;
    groups.push_back({outcome.name,
                      {bar(rows.flat_per_expert, "rest", "a row an expert"),
                       bar(rows.flat_per_device, "intra", "a row a device"),
                       bar(rows.hierarchical, "experts", "a row a node")}});
  }
  return key_line({{"rest", "a row an expert (flat)"},
                   {"intra", "a row a device (flat)"},
                   {"experts", "a row a node (hierarchical)"}}) +
         bar_figure(groups, "Rows that a token sends to other nodes in dispatch", "rows a token");
}

std::string predicted_time_figure(std::span<const Plan> plans, std::span<const std::string> names) {
  std::vector<BarGroup> groups;
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const auto time = mean_predicted_time(plans[p]);
    if (!time) continue;
    groups.push_back({names[p],
                      {{{{1e6 * time->cross_node_s, "all-to-all", "across nodes"},
                         {1e6 * time->intra_node_s, "intra", "inside nodes"},
                         {1e6 * time->compute_s, "experts", "experts"}},
                        22,
                        short_number(1e6 * time->total_s()) + " \u00b5s"}}});
  }
  if (groups.empty()) return "";
  return key_line(
             {{"all-to-all", "across nodes"}, {"intra", "inside nodes"}, {"experts", "experts"}}) +
         bar_figure(groups, "Predicted time of a layer in one step", "microseconds");
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
