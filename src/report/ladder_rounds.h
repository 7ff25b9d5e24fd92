// The ladder measured in rounds: its rows ran in turn, again and again, so that a ratio of two rows
// of one round is not bent by a slow spell of the machine.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "metrics/run_statistics.h"
#include "report/ladder.h"
#include "report/text_table.h"

namespace gracemoe {

struct LadderRounds {
  std::vector<std::vector<RunStatistics>> rows;  // [rows][rounds], the same number each, not 0
  double link_bits_per_s = 0;  // of a node's link to the others, each way; 0: unknown
  bool warm = false;           // measured were second runs of what was loaded anew for every round
};

struct RoundsRow {
  LadderRow typical;  // the round of median end-to-end time
  double fastest_s = 0, slowest_s = 0;
  double exchange_share = 0;  // all-to-all of end to end, median over rounds
  // Median over rounds of the other row's end-to-end time over this one's; 0: there is no such row.
  double against_vanilla = 0, against_occult = 0;
  // Cross-node payload over occult's, minus 1. Only where there is a row called occult.
  double cross_node_change = 0;
  // The busiest link's payload at the line rate, and the median all-to-all time over it; 0: no rate
  // known, or nothing crosses.
  double bound_s = 0, over_bound = 0;
};
std::vector<RoundsRow> make_rounds_rows(const LadderRounds& ladder);

// Of each row the round of median end-to-end time; of two middle ones the faster.
std::vector<RunStatistics> typical_runs(const LadderRounds& ladder);

// Two tables, of times and of bytes and load; then workload and machine. Ends with a newline.
std::string rounds_text(const LadderRounds& ladder, Colour colour);
// ladder_document() of the typical runs, with what the rounds tell; docs/formats.md.
std::string rounds_json(const LadderRounds& ladder);

// A picture of its own: end-to-end times, split in all-to-all, experts and the rest.
std::string ladder_svg(std::span<const RunStatistics> runs);

}  // namespace gracemoe
