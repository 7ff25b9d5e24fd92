// From experts on nodes to experts on devices: inside each node, as few other devices visited as
// possible with the work balanced; then copies for what no placement can balance.
#pragma once
#include <cstdint>
#include <vector>

#include "plan/plan.h"
#include "planner/search_cluster.h"
#include "planner/visit_search.h"

namespace gracemoe {

// [experts][instances] places, main place first.
using PlaceLists = std::vector<std::vector<int>>;

// How topology-aware routing tells the main instance on another node from the others: by weight.
// Rare enough that a token in a million goes elsewhere.
constexpr double kSideWeight = 1e-6;

// One device for each instance of the state: longest work first, each to the device of the node
// that has done least for its speed. A quick start, and an estimate of what balance can be had.
// keep: an instance of this plan stays on its device, if it fits; null: none.
LayerPlan pack_devices(const VisitState& state, const SearchCluster& cluster,
                       const LayerPlan* keep = nullptr);

// pack_devices improved by annealing in every node; with `keep`, an instance that leaves its device
// there costs `moving` (as VisitProblem::presence_cost).
LayerPlan search_devices(const VisitState& state, const SearchCluster& cluster,
                         const SearchGoal& goal, const Annealing& how, std::uint64_t seed,
                         const LayerPlan* keep = nullptr, double moving = 0);

// Adds the instances that `keep` has beside others of the same expert and node, where those are
// still held: at most `copies`, as far as they fit. Returns how many.
int keep_copies(LayerPlan& layer, const LayerPlan& keep, const SearchCluster& cluster, int copies);

// max / mean over devices of the layer's work on this text; 1 where nothing is loaded.
double device_imbalance(const LayerPlan& layer, const TokenBits& tokens, int top_k,
                        const SearchCluster& cluster, double step_tokens);

// How much higher max / mean is expected to be on new text (token_bits.h), before any search has
// fitted the layer to the views.
double device_drift(const LayerPlan& layer, const TokenBits& tokens, const SearchCluster& cluster);

// Adds at most `copies` instances, each where it relieves the busiest device most, while that is
// above the bound and as long as one is worth what it costs to move it there (as
// VisitProblem::presence_cost). Returns how many were added.
int relieve(LayerPlan& layer, const TokenBits& tokens, int top_k, const SearchCluster& cluster,
            const SearchGoal& goal, int copies, double moving = 0);

}  // namespace gracemoe
