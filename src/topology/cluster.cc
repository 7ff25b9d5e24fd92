#include "topology/cluster.h"

#include <algorithm>
#include <cstdio>

#include "base/error.h"

namespace gracemoe {

Cluster Cluster::uniform(const Topology& topology) {
  Cluster cluster;
  cluster.topology = topology;
  cluster.devices.resize(static_cast<std::size_t>(topology.devices()));
  return cluster;
}

bool Cluster::same_speeds() const {
  return std::all_of(devices.begin(), devices.end(),
                     [&](const DeviceSpec& d) { return d.speed == devices.front().speed; });
}

const LinkSpec& Cluster::node_link(int from_node, int to_node) const {
  if (from_node == to_node) {
    const auto own = node_overrides.find(from_node);
    return own == node_overrides.end() ? intra_node : own->second;
  }
  const auto own = pair_overrides.find(std::minmax(from_node, to_node));
  return own == pair_overrides.end() ? inter_node : own->second;
}

const LinkSpec& Cluster::link(int from_device, int to_device) const {
  return node_link(topology.node_of(from_device), topology.node_of(to_device));
}

Cluster cluster_from_option(const std::string& text) {
  if (text.ends_with(".json")) return read_cluster(text);
  return Cluster::uniform(Topology::parse(text));
}

std::string to_string(const LinkSpec& link) {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g Gbit/s, %.4g us", link.bytes_per_s * 8e-9,
                link.latency_s * 1e6);
  return text;
}

}  // namespace gracemoe
