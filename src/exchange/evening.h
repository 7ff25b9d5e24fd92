// Which rows a device hands to others of its node, for them to send to other nodes and to sum what
// comes back, so that all of the node send about equally many. Pure functions: every device of the
// node finds the same from the same counts.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "exchange/exchange.h"

namespace gracemoe {

// From one device of a node to another, by their places there.
struct Handover {
  int from = 0, to = 0;
  std::int64_t rows = 0;  // that cross to other nodes, at most
  friend bool operator==(const Handover&, const Handover&) = default;
};

// `crossing` [devices of the node]: rows that each has for other nodes. Those with more than the
// mean give, first to last; those with less take, up to it. Handovers of fewer than
// kFewestRowsHandedOver rows are left out: a message more costs more than such few rows.
constexpr std::int64_t kFewestRowsHandedOver = 8;
std::vector<Handover> even_out(std::span<const std::int64_t> crossing);

// [tokens] Rows that device `self` would send to other nodes for each token: one for each other
// node (hierarchical), each device of other nodes, or each entry there, as the kind sends them.
std::vector<int> crossing_rows(const TokenRoutes& routes, ExchangeKind kind,
                               const Topology& topology, int self);

// Tokens that `rows` rows' worth of are given away, ascending: from the last on, each that has rows
// that cross and fits what is left. `crossing` as above; those with `taken` set are not asked, and
// get it set where chosen.
std::vector<int> tokens_to_give(std::span<const int> crossing, std::int64_t rows,
                                std::vector<bool>& taken);

}  // namespace gracemoe
