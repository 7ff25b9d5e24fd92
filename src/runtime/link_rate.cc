#include "runtime/link_rate.h"

#include <algorithm>

#include "exchange/link_timing.h"

namespace gracemoe {

double rate_between_nodes(const Topology& topology, Transport& transport,
                          const std::function<double()>& clock) {
  const auto rounds = round_robin(topology.nodes());
  if (rounds.empty()) return 0;
  std::vector<int> partner;
  for (int device = 0; device < topology.devices(); ++device) {
    const int g = topology.local_index(device);
    const int other = rounds[0][static_cast<std::size_t>(topology.node_of(device))];
    partner.push_back(other >= 0 && g < topology.devices_on(other) ? topology.peer_on(device, other)
                                                                   : -1);
  }
  SwapOptions swap;
  swap.sizes = {std::size_t{16} << 10, std::size_t{256} << 10};
  swap.seconds_per_size = 0.01;
  swap.clock = clock;
  const auto times = time_swaps(transport, partner, swap);
  const double slowest = *std::max_element(times.back().begin(), times.back().end());
  return slowest > 0 ? 8 * static_cast<double>(swap.sizes.back()) / slowest : 0;
}

}  // namespace gracemoe
