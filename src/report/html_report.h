// One self-contained HTML page about runs and plans: no script, nothing fetched from anywhere.
// Sections whose data is not given are left out: runs bring times and traffic, plans what they
// carry (curves, differences), plans with a trace what tokens do under them.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "metrics/run_statistics.h"
#include "plan/plan.h"
#include "trace/routing_trace.h"
#include "trace/statistics.h"

namespace gracemoe {

struct ReportInput {
  std::string title;                // empty: "gracemoe report"
  std::vector<RunStatistics> runs;  // first = the baseline; may be empty
  // What the model's routers chose: the trace (preferred), or only its statistics, or neither
  // (null). Not owned.
  const RoutingTrace* trace = nullptr;
  const RoutingStatistics* statistics = nullptr;
  // Plans to compare. If none is the contiguous one, it is put in front.
  std::vector<Plan> plans;
  // What the plans are called, one a plan; empty: their presets, numbered where two share one.
  std::vector<std::string> plan_names;
};

// Errors (kInput): a plan whose shape is not that of the trace, or plans for different clusters.
std::string html_report(const ReportInput& input);
// Errors (kOutput): not writable.
void write_html_report(const std::filesystem::path& path, const ReportInput& input);

}  // namespace gracemoe
