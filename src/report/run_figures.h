// Bar pictures of runs side by side; the classes are those of html_style.h.
#pragma once
#include <span>
#include <string>

#include "metrics/run_statistics.h"

namespace gracemoe {

// End-to-end seconds a run, split in all-to-all, experts (means over devices) and the rest.
std::string time_figure(std::span<const RunStatistics> runs);
// Payload megabytes a run: across nodes (dispatch and combine apart) and inside nodes, on one
// scale.
std::string traffic_figure(std::span<const RunStatistics> runs);

}  // namespace gracemoe
