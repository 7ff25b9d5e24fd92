#include "study/exchange_report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "base/progress.h"

namespace gracemoe {
namespace {

using PerNode = std::vector<Crossing>;

std::int64_t busier_direction(const PerNode& nodes) {
  std::int64_t most = 0;
  for (const Crossing& node : nodes) most = std::max({most, node.sent, node.received});
  return most;
}

// Of the busiest node over all, and of the busiest of each phase of a step and layer.
void count_links(const ExchangeReport& report, ExchangeFigures& figures) {
  const auto& crossings = report.result.crossings;
  const auto node_of = [&](std::size_t device) {
    return static_cast<std::size_t>(report.topology.node_of(static_cast<int>(device)));
  };
  PerNode all(static_cast<std::size_t>(report.topology.nodes()));
  for (std::size_t i = 0; i < crossings.front().size(); ++i) {
    PerNode phase(all.size());
    for (std::size_t d = 0; d < crossings.size(); ++d) {
      for (Crossing* node : {&phase[node_of(d)], &all[node_of(d)]}) {
        node->sent += crossings[d][i].sent;
        node->received += crossings[d][i].received;
      }
    }
    figures.busiest_by_phase_bytes += busier_direction(phase);
  }
  figures.busiest_link_bytes = busier_direction(all);
}

OrderedJson json_of(const TrafficBytes& payload, const TrafficBytes& metadata) {
  return {{"cross_node_bytes", payload.cross_node},
          {"intra_node_bytes", payload.intra_node},
          {"cross_node_metadata_bytes", metadata.cross_node},
          {"intra_node_metadata_bytes", metadata.intra_node}};
}

// `seconds` 0: both directions were under way at once.
std::string direction(const char* name, const TrafficBytes& payload, const TrafficBytes& metadata,
                      double seconds) {
  const auto bytes = [](std::int64_t n) { return human_bytes(static_cast<double>(n)); };
  const std::string time = seconds > 0 ? fmt::format("{:.3f} s", seconds) : "";
  return fmt::format("{:<10}{:>12}{:>14} between nodes{:>14} inside{:>14} of metadata\n", name,
                     time, bytes(payload.cross_node), bytes(payload.intra_node),
                     bytes(metadata.cross_node + metadata.intra_node));
}

std::string bounds(const ExchangeReport& report, const ExchangeFigures& f) {
  return fmt::format(
      "bound: {} in the busier direction of the busiest node at {:.6g} Mbit/s take {:.3f} s; "
      "{:.2f} times that\n"
      "{}, each of its own busiest node: {:.3f} s; {:.2f} times that\n",
      human_bytes(static_cast<double>(f.busiest_link_bytes)), report.link_bits_per_s / 1e6,
      f.bound_s, f.over_bound, f.median.together_s > 0 ? "step by step" : "phase by phase",
      f.bound_by_phase_s, f.median.total_s() / f.bound_by_phase_s);
}

}  // namespace

ExchangeFigures exchange_figures(const ExchangeReport& report) {
  GM_CHECK(!report.result.rounds.empty(), "no round was measured");
  std::vector<ReplayTimes> rounds = report.result.rounds;
  std::sort(rounds.begin(), rounds.end(),
            [](const ReplayTimes& a, const ReplayTimes& b) { return a.total_s() < b.total_s(); });
  ExchangeFigures figures;
  figures.median = rounds[(rounds.size() - 1) / 2];
  figures.fastest_s = rounds.front().total_s();
  figures.slowest_s = rounds.back().total_s();
  for (const auto& device : report.result.counters)
    for (const LayerCounters& layer : device) figures.sent += layer;
  count_links(report, figures);
  if (report.link_bits_per_s > 0 && figures.busiest_link_bytes > 0) {
    figures.bound_s = static_cast<double>(figures.busiest_link_bytes) * 8 / report.link_bits_per_s;
    figures.over_bound = figures.median.total_s() / figures.bound_s;
    figures.bound_by_phase_s =
        static_cast<double>(figures.busiest_by_phase_bytes) * 8 / report.link_bits_per_s;
  }
  return figures;
}

std::string exchange_text(const ExchangeReport& report) {
  const ExchangeFigures f = exchange_figures(report);
  std::string text;
  for (const auto& [key, value] : report.settings) text += fmt::format("{:<18}{}\n", key, value);
  text += fmt::format("{:<18}{} in {} steps, {} round(s)\n", "tokens", with_commas(report.tokens),
                      report.result.steps, report.result.rounds.size());
  text +=
      direction("dispatch", f.sent.dispatch_payload, f.sent.dispatch_metadata, f.median.dispatch_s);
  text += direction("combine", f.sent.combine_payload, f.sent.combine_metadata, f.median.combine_s);
  text += fmt::format(
      "{:<10}{:>10.3f} s  ({:.3f} to {:.3f} s; {} rows to other nodes, {} copied "
      "inside, {} messages)\n",
      "both", f.median.total_s(), f.fastest_s, f.slowest_s, with_commas(f.sent.cross_node_rows),
      with_commas(f.sent.intra_row_copies), with_commas(f.sent.messages));
  if (f.sent.rows_handed_over > 0)
    text += fmt::format("{} rows handed over inside nodes, for others to send\n",
                        with_commas(f.sent.rows_handed_over));
  if (f.bound_s > 0) text += bounds(report, f);
  return text + "every row came back as the sum it must be\n";
}

std::string exchange_json(const ExchangeReport& report) {
  const ExchangeFigures f = exchange_figures(report);
  OrderedJson settings = OrderedJson::object();
  for (const auto& [key, value] : report.settings) settings[key] = value;
  OrderedJson rounds = OrderedJson::array();
  for (const ReplayTimes& r : report.result.rounds)
    rounds.push_back(
        {{"dispatch_s", r.dispatch_s}, {"combine_s", r.combine_s}, {"together_s", r.together_s}});
  OrderedJson json = {{"format", "gracemoe-exchange"},
                      {"version", 1},
                      {"settings", settings},
                      {"tokens", report.tokens},
                      {"steps", report.result.steps},
                      {"dispatch_s", f.median.dispatch_s},
                      {"combine_s", f.median.combine_s},
                      {"together_s", f.median.together_s},
                      {"dispatch", json_of(f.sent.dispatch_payload, f.sent.dispatch_metadata)},
                      {"combine", json_of(f.sent.combine_payload, f.sent.combine_metadata)},
                      {"cross_node_rows", f.sent.cross_node_rows},
                      {"intra_row_copies", f.sent.intra_row_copies},
                      {"rows_handed_over", f.sent.rows_handed_over},
                      {"entries", f.sent.entries},
                      {"messages", f.sent.messages},
                      {"busiest_link_bytes", f.busiest_link_bytes},
                      {"link_bits_per_s", report.link_bits_per_s},
                      {"bound_s", f.bound_s},
                      {"over_bound", f.over_bound},
                      {"bound_by_phase_s", f.bound_by_phase_s},
                      {"rounds", rounds}};
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace gracemoe
