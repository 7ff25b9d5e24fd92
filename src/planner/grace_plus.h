// grace+: placement and copies by direct search on the routing trace. What it minimises is what
// crosses the slow links - other nodes visited per token, weighted by what a visit costs - plus the
// cost of imbalance, with the busiest device's work bounded and the copies within a budget.
//
// Every layer is searched at a ladder of numbers of copies; copies then go to the layers where they
// help most, the layers are refined, and the experts of each node are spread over its devices.
#pragma once
#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "plan/plan.h"
#include "planner/search_cluster.h"
#include "trace/routing_trace.h"

namespace gracemoe {

struct GracePlusOptions {
  double memory_budget = 1.25;  // expert instances per expert, over all layers and devices; >= 1
  double balance_bound = 1.10;  // max / mean of the devices' work, mean over layers, on new text
  double imbalance_cost = 0.1;  // visits per token that a unit of max / mean is worth
  double step_tokens = 0;       // > 0: balance the experts that a step of so many tokens uses
  bool same_slots = false;      // no device of any layer has more than its equal share of instances
  double effort = 1;            // search steps, relative to the default
  std::uint64_t seed = 0;
  int threads = 0;    // 0: one a hardware thread; no influence on the result
  bool quiet = true;  // no progress bar
  // No new search is begun after this; the result then depends on the machine.
  std::optional<std::chrono::steady_clock::time_point> deadline;
};

// What a copied expert costs when the plan should grow out of an old one.
struct MoveCost {
  const Plan* from = nullptr;  // of the same shape and devices
  // In visits per token, for an instance where the old plan has none: from another node over the
  // mean link (node_cost says how much dearer a pair's is), or from a device of the same node.
  double per_instance = 0;
  double inside_node = 0;
};

struct GracePlusResult {
  std::vector<LayerPlan> layers;  // with predicted_load; nodes_visited is for evaluate.h to note
  // Layers for budgets of 0%, 10% .. 100% extra memory, as far as they differ in their copies and
  // fit: with less search than `layers`, and as uneven as they may be without same_slots.
  std::vector<std::vector<LayerPlan>> at_budgets;
};

// `start`: a plan to begin with as well as others (grace's), of the same shape and topology. With
// `moves.from`, that is where every layer begins, and devices keep their names.
// Deterministic for the seed (without a deadline). An empty trace, or a single device, gives the
// start as it is. Error (kInput) where memory does not hold every expert once.
GracePlusResult grace_plus(const RoutingTrace& trace, const SearchCluster& cluster,
                           const Plan& start, const GracePlusOptions& options,
                           const MoveCost& moves = {});

}  // namespace gracemoe
