#include "exchange/paths.h"

#include <numeric>

namespace gracemoe {
namespace {

std::vector<int> clients_of(const Topology& topology, int gateway) {
  std::vector<int> clients;
  const int node = topology.node_of(gateway);
  for (int device = 0; device < topology.devices(); ++device) {
    if (topology.node_of(device) != node && topology.peer_on(device, node) == gateway)
      clients.push_back(device);
  }
  return clients;
}

Paths hierarchical(const Topology& topology, int self) {
  Paths paths;
  const int node = topology.node_of(self);
  paths.handed_on.resize(static_cast<std::size_t>(topology.devices()));
  for (int device = 0; device < topology.devices(); ++device) {
    const bool here = topology.node_of(device) == node;
    paths.next_hop.push_back(here ? device : topology.peer_on(self, topology.node_of(device)));
    if (!here || device == self) continue;
    paths.neighbours.push_back(device);
    paths.handed_on[static_cast<std::size_t>(device)] =
        static_cast<int>(clients_of(topology, device).size());
  }
  for (int other = 0; other < topology.nodes(); ++other) {
    if (other != node) paths.gateways.push_back(topology.peer_on(self, other));
  }
  paths.clients = clients_of(topology, self);
  return paths;
}

}  // namespace

Paths Paths::of(ExchangeKind kind, const Topology& topology, int self) {
  if (kind == ExchangeKind::kHierarchical) return hierarchical(topology, self);
  Paths paths;
  if (kind == ExchangeKind::kFlatPerExpert) paths.copies = Copies::kPerEntry;
  paths.next_hop.resize(static_cast<std::size_t>(topology.devices()));
  std::iota(paths.next_hop.begin(), paths.next_hop.end(), 0);
  paths.handed_on.resize(paths.next_hop.size());
  for (const int rank : paths.next_hop) {
    if (rank != self) paths.neighbours.push_back(rank);
  }
  return paths;
}

}  // namespace gracemoe
