// How fast the links between nodes are, measured in passing when a run starts.
#pragma once
#include <functional>

#include "exchange/transport.h"
#include "topology/topology.h"

namespace gracemoe {

// Bits a second that a device sends to another node and receives from it at once, while all
// devices of paired nodes do (device g with device g of the other; of an odd number of nodes one
// sits out): the slowest pair's. 0: there is none. Takes some 20 messages of 16 KiB and 4 of 256,
// 0.2 s at 100 Mbit/s. Collective; the same on every rank. `clock`: seconds.
double rate_between_nodes(const Topology& topology, Transport& transport,
                          const std::function<double()>& clock);

}  // namespace gracemoe
