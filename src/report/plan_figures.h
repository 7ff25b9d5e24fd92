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
// How many tokens visit how many other nodes: bars, one a plan, for 0, 1, 2 ... nodes.
std::string spread_figure(std::span<const PlanOutcome> outcomes);
// Rows that a token sends to other nodes under each of the three exchanges, a group of bars a plan,
// with the key line above.
std::string rows_figure(std::span<const PlanOutcome> outcomes);
// Predicted microseconds of a layer, split in its parts, with the key line above; plans without a
// prediction are left out, "" if none has one.
std::string predicted_time_figure(std::span<const Plan> plans, std::span<const std::string> names);
// The load that the replay counted.
LoadColumn replayed_loads(const PlanOutcome& outcome);

}  // namespace gracemoe
