// The comparison ladder: several runs of one workload side by side, each held against the first
// (the baseline).
#pragma once
#include <cstdint>
#include <filesystem>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "metrics/run_statistics.h"
#include "report/text_table.h"

namespace gracemoe {

struct LadderRow {
  std::string name;
  double end_to_end_s = 0, prefill_s = 0, decode_s = 0;
  double all_to_all_s = 0;      // mean over devices
  double all_to_all_max_s = 0;  // the slowest device
  double expert_compute_s = 0;  // mean over devices
  double cross_node_mb = 0;     // payload, 10^6 bytes
  double intra_node_mb = 0;
  double dispatch_cross_mb = 0, dispatch_intra_mb = 0;  // the way out, of the two
  double busiest_link_mb = 0;     // payload in the busier direction of the busiest node's link
  std::int64_t messages = 0;      // sent in dispatch and combine, to any device
  double metadata_mb = 0;         // headers and routing entries, cross- and intra-node
  double device_idle_s = 0;       // mean over devices
  double load_std = 0;            // (token, expert) pairs, mean over layers
  double load_max_over_mean = 0;  // mean over layers
  double load_max_over_mean_worst = 0;  // the worst layer
  double tokens_per_second = 0;         // generated, end to end
  double resident_expert_mb = 0;        // of the device that holds the most
  double speedup_over_first = 0;  // end-to-end time of the first row / of this row; 0: unknown
};
std::vector<LadderRow> make_ladder(std::span<const RunStatistics> runs);

// An aligned table with a line of units, the machine and the workload; ends with a newline. With
// colour, the fastest row stands out.
std::string ladder_text(std::span<const RunStatistics> runs, Colour colour);
// On standard output.
void print_ladder(std::span<const RunStatistics> runs, Colour colour);

// {"format": "gracemoe-ladder", "version": 1, "machine": ..., "workload": ..., "rows": [...]};
// docs/formats.md. Errors (kOutput): not writable.
OrderedJson ladder_document(std::span<const RunStatistics> runs);
std::string ladder_json(std::span<const RunStatistics> runs);
void write_ladder_json(const std::filesystem::path& path, std::span<const RunStatistics> runs);

// "AMD EPYC ..., 2 cores, 8 GB, Linux ..."; what is unknown is left out.
std::string describe_machine(const MachineInfo& machine);
// "64 prompts, 4,096 prompt tokens, 2,048 generated tokens".
std::string describe_workload(const Workload& workload);

}  // namespace gracemoe
