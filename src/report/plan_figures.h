// Plans side by side on one routing trace: what they cost in total, and what crosses nodes layer by
// layer.
#pragma once
#include <span>
#include <string>

#include "planner/evaluate.h"
#include "report/load_figure.h"

namespace gracemoe {

// One plan, replayed.
struct PlanOutcome {
  std::string name;
  Topology topology;
  PlanMetrics metrics;
};

// A row a plan: nodes and devices visited, tokens that cross, balance, copies.
std::string plan_table(std::span<const PlanOutcome> outcomes);
// Bars a layer: other nodes that a token visits, one bar a plan, with the key line above.
std::string visits_figure(std::span<const PlanOutcome> outcomes);
// The load that the replay counted.
LoadColumn replayed_loads(const PlanOutcome& outcome);

}  // namespace gracemoe
