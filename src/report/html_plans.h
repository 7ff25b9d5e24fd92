// The sections of the page about plans.
#pragma once
#include <vector>

#include "report/html_report.h"
#include "report/page_parts.h"

namespace gracemoe {

// With a trace the plans are replayed on it; with statistics alone (`statistics` may be null) the
// loads are what to expect of the polling weights; with neither there is what the plans carry.
// Sections may be empty. Errors as html_report().
std::vector<Section> plan_sections(const ReportInput& input, const RoutingStatistics* statistics);

}  // namespace gracemoe
