#include "planner/expected_load.h"

#include <cstddef>
#include <numeric>

namespace gracemoe {

std::vector<double> serving_shares(const std::vector<Instance>& instances,
                                   const Topology& topology) {
  std::vector<double> shares(static_cast<std::size_t>(topology.devices()));
  const auto share_of = [&](const Instance& i) -> double& {
    return shares[static_cast<std::size_t>(i.device)];
  };
  if (instances.size() == 1) {
    share_of(instances.front()) = 1;
    return shares;
  }
  const double home = 1.0 / topology.devices();
  double total = 0;
  for (const Instance& i : instances) total += i.weight, share_of(i) += home;
  for (int node = 0; node < topology.nodes(); ++node) {
    double here = 0;
    int holders = 0;
    for (const Instance& i : instances)
      if (topology.node_of(i.device) == node) here += i.weight, ++holders;
    const double arriving = home * (topology.devices_on(node) - holders);
    for (const Instance& i : instances)
      if (holders == 0)
        share_of(i) += arriving * i.weight / total;
      else if (topology.node_of(i.device) == node)
        share_of(i) += arriving * i.weight / here;
  }
  return shares;
}

std::vector<double> expected_load(const LayerPlan& layer, std::span<const double> load,
                                  const Topology& topology) {
  std::vector<double> work(static_cast<std::size_t>(topology.devices()));
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  if (!(total > 0)) return work;
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    const std::vector<double> shares = serving_shares(layer.experts[e], topology);
    for (std::size_t d = 0; d < work.size(); ++d) work[d] += shares[d] * load[e] / total;
  }
  return work;
}

}  // namespace gracemoe
