// What it takes to bring experts' weights to where a new plan wants them.
#pragma once
#include <vector>

#include "plan/plan.h"
#include "planner/cost_model.h"

namespace gracemoe {

// Experts' weights that arrive on devices, and the seconds that this takes, one after the other.
struct Moves {
  int instances = 0;
  double seconds = 0;
};

// Instances of `to` on devices where `from` has none of the same expert: each comes over the
// fastest link from a device that holds the expert under `from`. Same layers, experts and devices
// in both. Cost: instances of one expert squared, over all experts.
Moves moves_between(const CostModel& model, const std::vector<LayerPlan>& from,
                    const std::vector<LayerPlan>& to);

// Of one expert, before it is known where it goes: between nodes, the mean over their pairs (with
// a single node, inside it).
double mean_moving_seconds(const CostModel& model);
// Inside a node, the mean over nodes.
double mean_moving_seconds_inside(const CostModel& model);

// Seconds a byte takes on the links that join nodes, the mean over their pairs; with a single node,
// on the link between its devices.
double mean_seconds_per_byte(const Cluster& cluster);

}  // namespace gracemoe
