// The tables and key figures of the HTML page.
#pragma once
#include <span>
#include <string>

#include "metrics/run_statistics.h"
#include "report/ladder.h"

namespace gracemoe {

// What the fastest run gains over the first, in large figures. Needs two runs or more.
std::string key_figures(std::span<const RunStatistics> runs);
// The ladder; the fastest row stands out.
std::string ladder_html(std::span<const RunStatistics> runs);
// One row a setting, one column a run; a setting equal in all runs is one wide cell.
std::string settings_html(std::span<const RunStatistics> runs);
// What the measures mean.
std::string definitions_html();

}  // namespace gracemoe
