#include "report/ladder.h"

#include <fmt/format.h>
#include <algorithm>
#include <cstdio>

#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"

namespace gracemoe {
namespace {

LadderRow row_of(const RunStatistics& run, double first_s) {
  const auto balance = load_balance(run);
  LadderRow row;
  row.name = run.name;
  row.end_to_end_s = run.end_to_end_s;
  row.prefill_s = run.prefill_s;
  row.decode_s = run.decode_s;
  row.all_to_all_s = mean_all_to_all_s(run);
  row.all_to_all_max_s = max_all_to_all_s(run);
  row.expert_compute_s = mean_expert_compute_s(run);
  row.cross_node_mb = cross_node_mb(run);
  row.intra_node_mb = intra_node_mb(run);
  const TrafficTotals traffic = total_traffic(run);
  row.dispatch_cross_mb = 1e-6 * static_cast<double>(traffic.dispatch_payload.cross_node);
  row.dispatch_intra_mb = 1e-6 * static_cast<double>(traffic.dispatch_payload.intra_node);
  row.busiest_link_mb = 1e-6 * static_cast<double>(busiest_link(run).bytes);
  row.messages = traffic.messages;
  const auto metadata = traffic.metadata();
  row.metadata_mb = 1e-6 * static_cast<double>(metadata.cross_node + metadata.intra_node);
  row.device_idle_s = mean_idle_s(run);
  row.load_std = balance.std;
  row.load_max_over_mean = balance.max_over_mean;
  row.load_max_over_mean_worst = balance.worst_max_over_mean;
  row.tokens_per_second = tokens_per_second(run);
  for (const auto& d : run.devices) {
    row.resident_expert_mb =
        std::max(row.resident_expert_mb, 1e-6 * static_cast<double>(d.resident_expert_bytes));
  }
  row.speedup_over_first = run.end_to_end_s > 0 ? first_s / run.end_to_end_s : 0;
  return row;
}

using Cells = std::vector<std::string>;

Cells header_cells(const std::string& first) {
  return {"",         "end-to-end",    "all-to-all", "cross-node", "intra-node", "device idle",
          "load std", "load max/mean", "vs " + first};
}
Cells unit_cells() {
  return {"", "s", "s", "MB", "MB", "s", "pairs", "", ""};
}

Cells cells_of(const LadderRow& row) {
  return {row.name,
          fmt::format("{:.2f}", row.end_to_end_s),
          fmt::format("{:.2f}", row.all_to_all_s),
          fmt::format("{:.2f}", row.cross_node_mb),
          fmt::format("{:.2f}", row.intra_node_mb),
          fmt::format("{:.2f}", row.device_idle_s),
          fmt::format("{:.1f}", row.load_std),
          fmt::format("{:.2f}", row.load_max_over_mean),
          row.speedup_over_first > 0 ? fmt::format("{:.2f}x", row.speedup_over_first) : "-"};
}

bool fastest(const std::vector<LadderRow>& rows, const LadderRow& row) {
  return std::all_of(rows.begin(), rows.end(), [&](const LadderRow& other) {
    return row.end_to_end_s <= other.end_to_end_s;
  });
}

OrderedJson json_of(const LadderRow& row) {
  return {{"name", row.name},
          {"end_to_end_s", row.end_to_end_s},
          {"prefill_s", row.prefill_s},
          {"decode_s", row.decode_s},
          {"all_to_all_s", row.all_to_all_s},
          {"all_to_all_max_s", row.all_to_all_max_s},
          {"expert_compute_s", row.expert_compute_s},
          {"cross_node_mb", row.cross_node_mb},
          {"intra_node_mb", row.intra_node_mb},
          {"dispatch_cross_node_mb", row.dispatch_cross_mb},
          {"dispatch_intra_node_mb", row.dispatch_intra_mb},
          {"busiest_link_mb", row.busiest_link_mb},
          {"metadata_mb", row.metadata_mb},
          {"messages", row.messages},
          {"device_idle_s", row.device_idle_s},
          {"load_std", row.load_std},
          {"load_max_over_mean", row.load_max_over_mean},
          {"load_max_over_mean_worst", row.load_max_over_mean_worst},
          {"tokens_per_second", row.tokens_per_second},
          {"resident_expert_mb", row.resident_expert_mb},
          {"speedup_over_first", row.speedup_over_first}};
}

}  // namespace

std::string describe_machine(const MachineInfo& machine) {
  std::string text;
  const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
  if (!machine.cpu.empty()) add(machine.cpu);
  if (machine.cores > 0)
    add(fmt::format("{} core{}", machine.cores, machine.cores == 1 ? "" : "s"));
  if (machine.memory_bytes > 0) {
    add(fmt::format("{:.0f} GB", 1e-9 * static_cast<double>(machine.memory_bytes)));
  }
  if (!machine.system.empty()) add(machine.system);
  return text.empty() ? "unknown machine" : text;
}

std::string describe_workload(const Workload& workload) {
  return fmt::format("{} prompts, {} prompt tokens, {} generated tokens",
                     with_commas(workload.prompts), with_commas(workload.prompt_tokens),
                     with_commas(workload.generated_tokens));
}

std::vector<LadderRow> make_ladder(std::span<const RunStatistics> runs) {
  std::vector<LadderRow> rows;
  rows.reserve(runs.size());
  for (const auto& run : runs) rows.push_back(row_of(run, runs.front().end_to_end_s));
  return rows;
}

std::string ladder_text(std::span<const RunStatistics> runs, Colour colour) {
  if (runs.empty()) return "no runs\n";
  const auto rows = make_ladder(runs);
  std::vector<TextRow> lines{{header_cells(rows.front().name)}, {unit_cells()}};
  for (const auto& row : rows) lines.push_back({cells_of(row), fastest(rows, row)});
  std::string text = text_table(lines, 1, colour);
  const auto& first = runs.front();
  text += printable(describe_workload(first.workload)) + "\n";
  text += "on " + printable(describe_machine(first.machine)) + "\n";
  return text;
}

void print_ladder(std::span<const RunStatistics> runs, Colour colour) {
  const auto text = ladder_text(runs, colour);
  std::fputs(text.c_str(), stdout);
  std::fflush(stdout);
}

OrderedJson ladder_document(std::span<const RunStatistics> runs) {
  const RunStatistics none;
  const auto& first = runs.empty() ? none : runs.front();
  OrderedJson rows = OrderedJson::array();
  for (const auto& row : make_ladder(runs)) rows.push_back(json_of(row));
  for (std::size_t i = 0; i < runs.size(); ++i) {
    OrderedJson settings = OrderedJson::object();
    for (const auto& [key, value] : runs[i].settings) settings[key] = value;
    rows[i]["settings"] = std::move(settings);
  }
  return {{"format", "gracemoe-ladder"},
          {"version", 1},
          {"machine",
           {{"cpu", first.machine.cpu},
            {"cores", first.machine.cores},
            {"memory_bytes", first.machine.memory_bytes},
            {"system", first.machine.system}}},
          {"workload",
           {{"prompts", first.workload.prompts},
            {"prompt_tokens", first.workload.prompt_tokens},
            {"generated_tokens", first.workload.generated_tokens}}},
          {"rows", std::move(rows)}};
}

std::string ladder_json(std::span<const RunStatistics> runs) {
  return ladder_document(runs).dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

void write_ladder_json(const std::filesystem::path& path, std::span<const RunStatistics> runs) {
  write_file(path, ladder_json(runs));
}

}  // namespace gracemoe
