// Hierarchical grouping (method.md section 2): experts to nodes, then each node's experts to its
// devices.
#pragma once
#include <cstdint>
#include <vector>

#include "planner/affinity.h"
#include "planner/knee.h"
#include "planner/spectral.h"
#include "topology/topology.h"

namespace gracemoe {

enum class RatioPolicy {
  kUniform,  // device sizes within a node differ by at most one
  kKnee,     // the knee of the (S, U) curve, one ratio a layer
  kFixed,    // a given ratio
  kFree,     // as clustered: fully non-uniform
};

struct HierarchicalOptions {
  RatioPolicy policy = RatioPolicy::kKnee;
  double ratio = 0;  // for kFixed, > 0
  SpectralOptions spectral;
};

struct HierarchicalGroups {
  Groups devices;                 // [devices]
  double ratio = 0;               // of the device level: chosen or given; 0 uniform, -1 free
  std::vector<RatioPoint> curve;  // what kKnee chose from; empty for other policies
};

// Node level: one group a node, as clustered, each with at least as many experts as the node has
// devices. Where nodes hold different numbers of devices, "as clustered" would give a small node a
// large one's share, so there the groups are controlled around shares proportional to the devices,
// with their own knee ratio; larger clusters go to larger nodes. Device level: inside each node by
// the policy, around equal shares. With fewer experts than devices some devices stay empty.
HierarchicalGroups hierarchical_groups(const Affinity& affinity, const Topology& topology,
                                       const HierarchicalOptions& options);

// The ratios that kKnee tries: 0 (uniform), 0.05, 0.10, ... 1.
std::vector<double> candidate_ratios();

}  // namespace gracemoe
