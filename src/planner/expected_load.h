// What every device is expected to compute under topology-aware routing, in closed form: homes are
// equally likely and say nothing about a token's experts.
#pragma once
#include <span>
#include <vector>

#include "plan/plan.h"

namespace gracemoe {

// [devices] the part of an expert's tokens that each device serves; sums to 1. A token is served at
// home if there is an instance, else by weight among its node's, else by weight among all.
// Cost: devices + nodes * instances.
std::vector<double> serving_shares(const std::vector<Instance>& instances,
                                   const Topology& topology);

// [instances] the same of tokens with their home on the node (on any of its devices, equally
// likely), or on the one device.
std::vector<double> shares_from_node(const std::vector<Instance>& instances,
                                     const Topology& topology, int node);
std::vector<double> shares_from_device(const std::vector<Instance>& instances,
                                       const Topology& topology, int device);

// [devices] shares of all computations, summing to 1 (all 0 where nothing is loaded).
// load: [experts], any unit.
std::vector<double> expected_load(const LayerPlan& layer, std::span<const double> load,
                                  const Topology& topology);

}  // namespace gracemoe
