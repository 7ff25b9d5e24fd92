// The shape of a cluster: nodes, and devices a node. One MPI rank is one device; devices are
// numbered node by node (node 0's first). Nodes may hold different numbers of devices.
#pragma once
#include <string>
#include <vector>

namespace gracemoe {

class Topology {
 public:
  // nodes x devices_per_node, both >= 1. Error (kUsage) otherwise.
  static Topology grid(int nodes, int devices_per_node);
  // Any shape; every entry >= 1. Error (kUsage) otherwise.
  static Topology of(const std::vector<int>& devices_per_node);
  // "2x4", or "3,1" (devices of each node). Error (kUsage) says what was wanted.
  static Topology parse(const std::string& text);

  int nodes() const { return static_cast<int>(first_device_.size()) - 1; }
  int devices() const { return first_device_.back(); }
  int node_of(int device) const { return node_of_[static_cast<std::size_t>(device)]; }
  int local_index(int device) const { return device - first_device(node_of(device)); }
  int first_device(int node) const { return first_device_[static_cast<std::size_t>(node)]; }
  int devices_on(int node) const { return first_device(node + 1) - first_device(node); }
  // Device (b, g)'s peer on another node: the device there with local index g, modulo that node's
  // size. Rows that device (b, g) sends to that node go to this peer.
  int peer_on(int device, int node) const {
    return first_device(node) + local_index(device) % devices_on(node);
  }
  std::vector<int> devices_per_node() const;
  bool uniform() const;
  std::string to_string() const;  // as parse() reads it
  friend bool operator==(const Topology&, const Topology&) = default;

 private:
  std::vector<int> first_device_{0};  // [nodes + 1]
  std::vector<int> node_of_;          // [devices]
};

}  // namespace gracemoe
