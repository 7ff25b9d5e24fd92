// Bars of the load of every device in every layer, one column of panels a plan or run.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "metrics/run_statistics.h"
#include "plan/plan.h"
#include "topology/topology.h"
#include "trace/statistics.h"

namespace gracemoe {

struct LoadColumn {
  std::string name;
  std::vector<int> node_of;  // [devices]
  std::vector<std::vector<double>>
      loads;  // [layers][devices], any unit; drawn relative to the layer's mean
};

// From a run's counters.
LoadColumn measured_loads(const RunStatistics& run);
// From the plan and the trace's load: an expert's load is split over its instances by their polling
// weights, which is what WRR routing does on average (topology-aware routing deviates where a copy
// is near).
LoadColumn expected_loads(const RoutingStatistics& statistics, const Plan& plan,
                          const std::string& name);

// All layers, or 16 evenly spaced of more. Columns may differ in devices; they should have the same
// layers.
std::string load_figure(std::span<const LoadColumn> columns);
// What the colours of the bars mean: the nodes of the columns' devices.
std::string load_key_line(std::span<const LoadColumn> columns);

}  // namespace gracemoe
