// A layer's devices, evener on new text: quick exchanges inside nodes, judged on drawn texts.
#pragma once
#include <cstdint>

#include "plan/plan.h"
#include "planner/drawn_loads.h"
#include "planner/search_cluster.h"

namespace gracemoe {

// max / mean of the devices' work for their capacity, mean over the drawn texts; 1 where nothing is
// loaded. step_tokens: as VisitProblem.
double expected_imbalance(const LayerPlan& layer, const DrawnLoads& texts, int top_k,
                          const SearchCluster& cluster, double step_tokens);

// Moves instances to other devices of their node, and exchanges them, for a lower expected
// imbalance; takes steps back on the way, never ends higher. Rooms and nodes stay as they are.
// Returns the expected imbalance. Cost of a proposal: devices * kDraws.
double settle_devices(LayerPlan& layer, const DrawnLoads& texts, int top_k,
                      const SearchCluster& cluster, double step_tokens, std::int64_t proposals,
                      std::uint64_t seed);

}  // namespace gracemoe
