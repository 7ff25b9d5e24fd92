// The same memory on every device over all layers, by names alone.
#pragma once
#include <vector>

#include "plan/plan.h"
#include "planner/search_cluster.h"

namespace gracemoe {

// Renames the nodes, and the devices inside nodes, of each layer so that all devices hold the same
// number of instances over all layers, or nearly where layers are few: what a layer does for a
// token stays the same. Only for clusters whose devices are alike. Cost: a few times devices *
// layers * instances.
void even_out_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster);

}  // namespace gracemoe
