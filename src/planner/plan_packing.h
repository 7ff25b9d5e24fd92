// The last steps of a search, over all layers: devices evened out, limits kept, left-over copies
// placed.
#pragma once
#include <functional>
#include <vector>

#include "plan/plan.h"
#include "planner/search_cluster.h"

namespace gracemoe {

// Instances beyond one an expert.
int copies_of(const LayerPlan& layer);
int copies_of(const std::vector<LayerPlan>& layers);

// Renames the nodes, and the devices inside nodes, of each layer so that all devices hold about the
// same number of instances over all layers. Only for clusters whose devices are alike.
void even_out_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster);

// An instance that could be taken off a device, and what that costs.
struct Removal {
  double cost = 0;
  int expert = 0;
};
// Of the experts on `device` that have another instance, least cost first. `state`: the layer's.
std::vector<Removal> removals_from(const LayerPlan& layer, const VisitState& state,
                                   const SearchCluster& cluster, int device);

// Takes copies off devices that hold more than cluster.max_copies, those first that cost least.
// `removals(layer, device)` is asked once for each layer of such a device. Error (kInput) where a
// device holds too much that exists nowhere else and cluster.must_fit.
void fit_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster,
                 const std::function<std::vector<Removal>(int layer, int device)>& removals);

// A copy worth having. Each layer's are in the order in which they were found: a later one's gain
// counts on the earlier ones.
struct ExtraCopy {
  double gain = 0;
  Change change;
};
// [layers] how many of each layer's to take so that there are at most `most`: largest gain first.
std::vector<int> take_extras(const std::vector<std::vector<ExtraCopy>>& extras, int most);

}  // namespace gracemoe
