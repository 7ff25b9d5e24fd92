// Heat maps of which experts are chosen together, in the order in which plans put them on devices.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "plan/plan.h"
#include "trace/statistics.h"

namespace gracemoe {

// Experts device by device (by their primary instance), ascending ids inside a device.
struct ExpertOrder {
  std::vector<int> experts;  // [num_experts] a permutation
  std::vector<int>
      device_begin;  // [devices + 1] device d holds experts[device_begin[d] .. device_begin[d+1])
};
ExpertOrder order_by_device(const LayerPlan& layer, int devices);

// Of all co-activations of a layer, the share whose two experts have their primaries on one device
// / on one node, in [0, 1]; 0 if there are none. Copies are not counted: the map shows primaries.
struct CoActivationShare {
  double on_device = 0, on_node = 0;
};
CoActivationShare share_together(std::span<const double> affinity, const LayerPlan& layer,
                                 const Topology& topology);

// Which layers to draw so that the maps of a page stay below about 2.5 MB: all, or as many as fit,
// evenly spaced.
std::vector<int> layers_to_draw(int layers, int num_experts, std::size_t maps_per_layer);

// The cards of all drawn layers, one map a plan, and the legend; needs statistics with affinity and
// plans of its shape.
std::string co_activation_figure(const RoutingStatistics& statistics, std::span<const Plan> plans,
                                 std::span<const std::string> names);

}  // namespace gracemoe
