#include "report/run_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "report/axis.h"
#include "report/bar_figure.h"

namespace gracemoe {
namespace {

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
  return bar_figure(
      groups, "End-to-end time of every run, split in all-to-all, experts and the rest", "seconds");
}

std::string traffic_figure(std::span<const RunStatistics> runs) {
  std::vector<BarGroup> groups;
  for (const auto& run : runs) groups.push_back(traffic_group(run));
  return bar_figure(groups, "Payload of every run across nodes and inside nodes", "megabytes");
}

}  // namespace gracemoe
