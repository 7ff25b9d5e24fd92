// What each device computes of a layer, on every text that is known or drawn (token_bits.h).
#pragma once
#include <vector>

#include "plan/plan.h"
#include "planner/search_cluster.h"
#include "planner/visit_state.h"

namespace gracemoe {

// Under topology-aware routing; homes on the devices of a node are equally likely.
class DeviceWork {
 public:
  DeviceWork(const TokenBits& tokens, int top_k, const SearchCluster& cluster, double step_tokens);

  // sign 1 adds the expert's instances, -1 takes them away. Cost: places * instances * views.
  void add(int expert, const std::vector<Instance>& instances, double sign);
  void add(const LayerPlan& layer);

  // Work for its capacity, on the text itself.
  double ratio(int device) const;
  // The device that has most to do for its capacity on most texts.
  int busiest() const;
  // Expected on new text; 1 where nothing is loaded. Cost: devices * views.
  double max_over_mean() const;

 private:
  const TokenBits& tokens_;
  int top_k_;
  const SearchCluster& cluster_;
  double step_tokens_;
  std::size_t views_;
  std::vector<double> home_share_;
  std::vector<double> work_;                // [devices, views]
  std::vector<double> flow_;                // [views] scratch
  mutable std::vector<double> most_, sum_;  // [views] scratch
};

// Where the state's instances are on devices: longest work first, each to the device of its node
// that has done least, then single moves and exchanges inside nodes for as even devices as can be
// expected on new text. A quick search that does not look at devices visited.
LayerPlan balance_devices(const VisitState& state, const SearchCluster& cluster,
                          std::uint64_t seed);

// As few moves and exchanges inside nodes as a plain descent needs until the expected max / mean is
// the target, if it gets there. `layer` has one instance for each of the state's.
void settle_devices(LayerPlan& layer, const VisitState& state, const SearchCluster& cluster,
                    double target, std::uint64_t seed);

}  // namespace gracemoe
