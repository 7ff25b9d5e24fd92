// The last steps of a search, over all layers: limits kept, left-over copies placed.
#pragma once
#include <span>
#include <vector>

#include "plan/plan.h"
#include "planner/search_cluster.h"

namespace gracemoe {

// Instances beyond one an expert.
int copies_of(const LayerPlan& layer);
int copies_of(const std::vector<LayerPlan>& layers);

// [devices] which hold more instances, over all layers, than cluster.max_copies.
std::vector<char> overfull_devices(const std::vector<LayerPlan>& layers,
                                   const SearchCluster& cluster);

// An instance that could leave its device.
struct Departure {
  double cost = 0;  // as VisitState::cost(), of this one alone
  int expert = 0;
  int from = 0;  // device
  int to = 0;    // place that takes over, with an instance that it has or with this one
};
// Of all instances on the devices that are marked, to every place. Those that cost nothing begin
// with experts of little load. `state`: the layer's places. Cost: places deltas an instance.
std::vector<Departure> departures_from(const LayerPlan& layer, const VisitState& state,
                                       const SearchCluster& cluster,
                                       const std::vector<char>& devices);

// Takes instances off devices that hold more than cluster.max_copies, those first that cost least.
// They move to devices with room, the emptiest of a place, or are given up where others take over.
// departures: [layers], of all devices that are overfull. A device may still hold too much where
// there is no room in all, or not within max_experts: Error (kInput) with cluster.must_fit.
void fit_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster,
                 const std::vector<std::vector<Departure>>& departures);

// The layer for balance alone, with at most `copies`, within max_experts; empty where those leave
// no room for it. load: [experts].
LayerPlan balanced_layer(std::span<const double> load, int copies, const SearchCluster& cluster);

// Devices with fewer than `slots` instances get the heaviest experts that they lack, for tokens at
// home there, until they have as many. slots <= experts.
void fill_slots(LayerPlan& layer, int slots, const TokenBits& tokens, const SearchCluster& cluster);

// A copy worth having. Each layer's are in the order in which they were found: a later one's gain
// counts on the earlier ones.
struct ExtraCopy {
  double gain = 0;
  Change change;
};
// [layers] how many of each layer's to take so that there are at most `most`: largest gain first.
std::vector<int> take_extras(const std::vector<std::vector<ExtraCopy>>& extras, int most);

}  // namespace gracemoe
