#include "exchange/evening.h"

#include <algorithm>
#include <numeric>

namespace gracemoe {

std::vector<Handover> even_out(std::span<const std::int64_t> crossing) {
  const auto devices = std::ssize(crossing);
  const std::int64_t all = std::accumulate(crossing.begin(), crossing.end(), std::int64_t{0});
  std::vector<std::int64_t> left;  // more than the mean, or (negative) room up to it
  for (const std::int64_t rows : crossing) {
    // Rounded so that nobody ends up above the mean's next whole number.
    const std::int64_t mean = rows * devices > all ? (all + devices - 1) / devices : all / devices;
    left.push_back(rows - mean);
  }
  std::vector<Handover> handovers;
  std::size_t to = 0;
  for (std::size_t from = 0; from < left.size(); ++from) {
    while (left[from] > 0) {
      while (to < left.size() && left[to] >= 0) ++to;
      if (to == left.size()) return handovers;
      const std::int64_t rows = std::min(left[from], -left[to]);
      left[from] -= rows;
      left[to] += rows;
      if (rows >= kFewestRowsHandedOver)
        handovers.push_back({static_cast<int>(from), static_cast<int>(to), rows});
    }
  }
  return handovers;
}

std::vector<int> crossing_rows(const TokenRoutes& routes, ExchangeKind kind,
                               const Topology& topology, int self) {
  const auto k = static_cast<std::size_t>(routes.top_k);
  const int node = topology.node_of(self);
  std::vector<int> crossing;
  std::vector<int> seen;  // of a token: nodes or devices that a row goes to
  for (int t = 0; t < routes.tokens; ++t) {
    seen.clear();
    int rows = 0;
    for (const std::int32_t device : routes.device.subspan(static_cast<std::size_t>(t) * k, k)) {
      if (topology.node_of(device) == node) continue;
      const int way = kind == ExchangeKind::kHierarchical ? topology.node_of(device) : device;
      const bool again = std::find(seen.begin(), seen.end(), way) != seen.end();
      if (again && kind != ExchangeKind::kFlatPerExpert) continue;
      seen.push_back(way);
      ++rows;
    }
    crossing.push_back(rows);
  }
  return crossing;
}

std::vector<int> tokens_to_give(std::span<const int> crossing, std::int64_t rows,
                                std::vector<bool>& taken) {
  std::vector<int> tokens;
  for (std::size_t t = crossing.size(); t-- > 0 && rows > 0;) {
    if (taken[t] || crossing[t] == 0 || crossing[t] > rows) continue;
    taken[t] = true;
    rows -= crossing[t];
    tokens.push_back(static_cast<int>(t));
  }
  std::reverse(tokens.begin(), tokens.end());
  return tokens;
}

}  // namespace gracemoe
