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

struct Settling {
  double target = 1;  // an expected imbalance that is even enough
  std::int64_t proposals = 1000;
  bool hot = false;  // also takes steps back, to get further; else few instances move
};

// Moves instances to other devices of their node, and exchanges them, until the expected imbalance
// is the target or the proposals are used up; never to a higher one. Rooms and nodes stay as they
// are. Returns the expected imbalance. Cost of a proposal: devices * kDraws.
double settle_devices(LayerPlan& layer, const DrawnLoads& texts, int top_k,
                      const SearchCluster& cluster, double step_tokens, const Settling& how,
                      std::uint64_t seed);

}  // namespace gracemoe
