#include <fmt/format.h>

#include <algorithm>

#include "base/progress.h"
#include "base/quantities.h"
#include "report/evaluation.h"

namespace gracemoe {
namespace {

using Cells = std::vector<std::string>;

void append(Cells& to, const Cells& from) {
  to.insert(to.end(), from.begin(), from.end());
}

// "+4.1%"; "-" where there is nothing to compare with.
std::string change(double from, double to) {
  return from > 0 ? fmt::format("{:+.1f}%", 100 * (to / from - 1)) : "-";
}

std::string three(double value) {
  return fmt::format("{:.3f}", value);
}

bool several_clusters(const Evaluation& evaluation) {
  const auto& plans = evaluation.plans;
  return std::any_of(plans.begin(), plans.end(), [&](const JudgedPlan& p) {
    return p.plan.topology != plans.front().plan.topology;
  });
}

std::size_t fewest_visits(const std::vector<PlanMetrics>& metrics) {
  const auto it = std::min_element(metrics.begin(), metrics.end(),
                                   [](const PlanMetrics& a, const PlanMetrics& b) {
                                     return a.total.nodes_visited < b.total.nodes_visited;
                                   });
  return static_cast<std::size_t>(it - metrics.begin());
}

double worst_layer(const PlanMetrics& metrics) {
  double worst = 0;
  for (const auto& layer : metrics.layers) worst = std::max(worst, layer.load_max_over_mean);
  return worst;
}

// Columns that a layer and the total share.
Cells visit_cells(const RoutingMetrics& m) {
  return {three(m.nodes_visited), fmt::format("{:.1f}%", 100 * m.crossing_share),
          three(m.devices_visited)};
}
Cells row_cells(const RoutingMetrics& m) {
  const double tokens = static_cast<double>(std::max<std::int64_t>(1, m.tokens));
  const auto rows = [&](std::int64_t count) { return three(static_cast<double>(count) / tokens); };
  return {rows(m.cross_node_rows.flat_per_expert), rows(m.cross_node_rows.flat_per_device),
          rows(m.cross_node_rows.hierarchical),    rows(m.intra_node_rows.flat_per_expert),
          rows(m.intra_node_rows.flat_per_device), rows(m.intra_node_rows.hierarchical)};
}

TextRow plan_row(const Evaluation& evaluation, std::size_t trace, std::size_t p) {
  const auto& judged = evaluation.plans[p];
  const auto& all = evaluation.metrics[trace];
  const auto& m = all[p].total;
  Cells cells{judged.name, judged.plan.preset, judged.plan.topology.to_string()};
  append(cells, visit_cells(m));
  append(cells, {three(m.load_max_over_mean), three(worst_layer(all[p])),
                 fmt::format("{:.1f}", m.load_std), with_commas(m.copies),
                 fmt::format("{:.1f}%", 100 * m.extra_memory)});
  if (!evaluation.devices.empty())
    cells.push_back(three(work_max_over_mean(all[p], evaluation.devices)));
  if (all.size() > 1) cells.push_back(change(all.front().total.nodes_visited, m.nodes_visited));
  return {cells, all.size() > 1 && !several_clusters(evaluation) && p == fewest_visits(all)};
}

std::string plan_table(const Evaluation& evaluation, std::size_t trace, Colour colour) {
  TextRow first{{"", "", "", "nodes visited", "tokens that", "devices visited", "device load",
                 "worst layer", "load std", "", "extra"}};
  TextRow second{{"plan", "preset", "cluster", "per token", "cross", "per token", "max/mean",
                  "max/mean", "pairs", "copies", "memory"}};
  if (!evaluation.devices.empty()) {
    first.cells.emplace_back("work over speed");
    second.cells.emplace_back("max/mean");
  }
  if (evaluation.plans.size() > 1) {
    first.cells.emplace_back("visits against");
    second.cells.push_back(evaluation.plans.front().name);
  }
  std::vector<TextRow> rows{first, second};
  for (std::size_t p = 0; p < evaluation.plans.size(); ++p)
    rows.push_back(plan_row(evaluation, trace, p));
  return text_table(rows, 3, colour);
}

std::string rows_table(const Evaluation& evaluation, std::size_t trace, Colour colour) {
  std::vector<TextRow> rows{
      {{"rows a token sends in dispatch", "to other nodes:", "", "", "in its node:"}},
      {{"with a row for every", "expert", "device", "node", "expert", "device", "node"}}};
  for (std::size_t p = 0; p < evaluation.plans.size(); ++p) {
    Cells cells{evaluation.plans[p].name};
    append(cells, row_cells(evaluation.metrics[trace][p].total));
    rows.push_back({cells});
  }
  return text_table(rows, 1, colour);
}

// Plans under each other within a layer, so that they can be compared.
std::string layer_table(const Evaluation& evaluation, std::size_t trace, Colour colour) {
  std::vector<TextRow> rows{
      {{"", "", "nodes", "tokens", "devices", "load", "load std", "", "rows to other nodes:", "",
        "", "rows in the node:"}},
      {{"layer", "plan", "visited", "that cross", "visited", "max/mean", "pairs", "copies",
        "by expert", "by device", "by node", "by expert", "by device", "by node"}}};
  const auto& plans = evaluation.metrics[trace];
  for (std::size_t l = 0; l < plans.front().layers.size(); ++l) {
    for (std::size_t p = 0; p < plans.size(); ++p) {
      const auto& m = plans[p].layers[l];
      Cells cells{p == 0 ? std::to_string(l) : "", evaluation.plans[p].name};
      append(cells, visit_cells(m));
      append(cells, {three(m.load_max_over_mean), fmt::format("{:.1f}", m.load_std),
                     with_commas(m.copies)});
      append(cells, row_cells(m));
      rows.push_back({cells});
    }
  }
  return text_table(rows, 2, colour);
}

std::string predicted_table(const Evaluation& evaluation, Colour colour) {
  std::vector<TextRow> rows{{{"predicted by the plan, microseconds a layer", "across nodes",
                              "inside nodes", "experts", "total"}}};
  std::vector<std::string> bases;
  for (const auto& judged : evaluation.plans) {
    const auto time = mean_predicted_time(judged.plan);
    if (!time) continue;
    const auto us = [](double seconds) { return fmt::format("{:.1f}", 1e6 * seconds); };
    rows.push_back({{judged.name, us(time->cross_node_s), us(time->intra_node_s),
                     us(time->compute_s), us(time->total_s())}});
    if (std::find(bases.begin(), bases.end(), judged.plan.time_basis) == bases.end())
      bases.push_back(judged.plan.time_basis);
  }
  if (rows.size() == 1) return "";
  std::string text = "\n" + text_table(rows, 1, colour);
  for (const auto& basis : bases) {
    if (!basis.empty()) text += "assuming " + printable(basis) + "\n";
  }
  return text;
}

// The generality of plans: what each loses on every trace against the plan that suits it best.
std::string loss_table(const Evaluation& evaluation, Colour colour) {
  Cells header{"nodes visited per token"};
  for (const auto& trace : evaluation.traces) append(header, {trace.name, "loss"});
  header.emplace_back("mean loss");
  std::vector<TextRow> rows{{header}};
  for (std::size_t p = 0; p < evaluation.plans.size(); ++p) {
    Cells cells{evaluation.plans[p].name};
    double sum = 0;
    bool known = true;
    for (std::size_t t = 0; t < evaluation.traces.size(); ++t) {
      const auto loss = loss_against_best(evaluation, t, p);
      cells.push_back(three(evaluation.metrics[t][p].total.nodes_visited));
      cells.push_back(!loss ? "-" : *loss == 0 ? "best" : fmt::format("{:+.1f}%", 100 * *loss));
      known = known && loss.has_value();
      sum += loss.value_or(0);
    }
    const double mean = sum / static_cast<double>(evaluation.traces.size());
    cells.push_back(known ? fmt::format("{:+.1f}%", 100 * mean) : "-");
    rows.push_back({cells});
  }
  return "\nWhat a plan loses on each trace against the best of these plans for the same "
         "cluster:\n" +
         text_table(rows, 1, colour);
}

std::string trace_line(const Evaluation& evaluation, std::size_t trace) {
  const auto& t = evaluation.traces[trace];
  const auto& plan = evaluation.plans.front().plan;
  return printable(fmt::format("{}: {} in {} of {}{}; {} of {}, top-{}; routing {}", t.name,
                               counted(t.tokens, "token"), counted(t.sequences, "sequence"),
                               t.model.empty() ? "an unnamed model" : t.model,
                               t.phase.empty() ? "" : " (" + t.phase + ")",
                               counted(static_cast<std::int64_t>(plan.layers.size()), "MoE layer"),
                               counted(plan.num_experts, "expert"), plan.top_k,
                               to_string(evaluation.routing))) +
         "\n";
}

}  // namespace

std::string evaluation_text(const Evaluation& evaluation, bool per_layer, Colour colour) {
  std::string text;
  if (evaluation.plans.empty()) return "no plans\n";
  for (std::size_t t = 0; t < evaluation.traces.size(); ++t) {
    if (t > 0) text += "\n";
    text += trace_line(evaluation, t) + plan_table(evaluation, t, colour) + "\n" +
            rows_table(evaluation, t, colour);
    if (per_layer) text += "\n" + layer_table(evaluation, t, colour);
  }
  if (evaluation.plans.size() > 1 && evaluation.traces.size() > 1)
    text += loss_table(evaluation, colour);
  return text + predicted_table(evaluation, colour);
}

}  // namespace gracemoe
