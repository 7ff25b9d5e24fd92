// Who talks to whom in an exchange of either kind, seen from one rank.
#pragma once
#include <vector>

#include "exchange/exchange.h"
#include "exchange/row_set.h"
#include "topology/topology.h"

namespace gracemoe {

struct Paths {
  std::vector<int> next_hop;  // [devices] where a row for that device is sent first
  Copies copies = Copies::kPerRank;
  // Take rows from here directly, and send theirs here: all other ranks under a flat exchange,
  // those of the node under the hierarchical one.
  std::vector<int> neighbours;
  std::vector<int> gateways;  // on other nodes, that take rows from here
  std::vector<int> clients;   // on other nodes, that this device is the gateway of
  // [ranks] how many clients' rows that rank hands on to this one; 0 for all but neighbours.
  std::vector<int> handed_on;

  static Paths of(ExchangeKind kind, const Topology& topology, int self);
};

}  // namespace gracemoe
