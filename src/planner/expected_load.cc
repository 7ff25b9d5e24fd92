#include "planner/expected_load.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace gracemoe {

std::vector<double> shares_from_device(const std::vector<Instance>& instances,
                                       const Topology& topology, int device) {
  std::vector<double> shares(instances.size());
  double here = 0, total = 0;
  for (std::size_t i = 0; i < instances.size(); ++i) {
    if (instances[i].device == device) {
      shares[i] = 1;
      return shares;
    }
    total += instances[i].weight;
    if (topology.node_of(instances[i].device) == topology.node_of(device))
      here += instances[i].weight;
  }
  for (std::size_t i = 0; i < instances.size(); ++i) {
    const bool near = topology.node_of(instances[i].device) == topology.node_of(device);
    if (here > 0)
      shares[i] = near ? instances[i].weight / here : 0;
    else
      shares[i] = instances[i].weight / total;
  }
  return shares;
}

std::vector<double> shares_from_node(const std::vector<Instance>& instances,
                                     const Topology& topology, int node) {
  std::vector<double> shares(instances.size());
  const int first = topology.first_device(node), devices = topology.devices_on(node);
  // Devices without an instance are all alike.
  int holders = 0, other = -1;
  for (int device = first; device < first + devices; ++device) {
    const auto here = std::find_if(instances.begin(), instances.end(),
                                   [&](const Instance& i) { return i.device == device; });
    if (here == instances.end()) {
      other = device;
      continue;
    }
    ++holders;
    shares[static_cast<std::size_t>(here - instances.begin())] += 1.0 / devices;
  }
  if (other < 0) return shares;
  const std::vector<double> rest = shares_from_device(instances, topology, other);
  for (std::size_t i = 0; i < rest.size(); ++i)
    shares[i] += rest[i] * (devices - holders) / devices;
  return shares;
}

std::vector<double> serving_shares(const std::vector<Instance>& instances,
                                   const Topology& topology) {
  std::vector<double> shares(static_cast<std::size_t>(topology.devices()));
  if (instances.size() == 1) {
    shares[static_cast<std::size_t>(instances.front().device)] = 1;
    return shares;
  }
  for (int node = 0; node < topology.nodes(); ++node) {
    const std::vector<double> from = shares_from_node(instances, topology, node);
    const double home = static_cast<double>(topology.devices_on(node)) / topology.devices();
    for (std::size_t i = 0; i < from.size(); ++i)
      shares[static_cast<std::size_t>(instances[i].device)] += home * from[i];
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
