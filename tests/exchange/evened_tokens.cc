#include "exchange/evened_tokens.h"

#include <algorithm>
#include <map>
#include <numeric>
#include <set>
#include <utility>

namespace gracemoe {
namespace {

// Rows that a device sends to other nodes for its token t.
int crossing(const ExchangeCase& c, const CaseTokens& tokens, int t, int device) {
  std::multiset<int> ways;
  for (int s = t * c.top_k; s < (t + 1) * c.top_k; ++s) {
    const int to = tokens.device[static_cast<std::size_t>(s)];
    if (c.topology.node_of(to) == c.topology.node_of(device)) continue;
    ways.insert(c.options.kind == ExchangeKind::kHierarchical ? c.topology.node_of(to) : to);
  }
  if (c.options.kind == ExchangeKind::kFlatPerExpert) return static_cast<int>(ways.size());
  return static_cast<int>(std::set<int>(ways.begin(), ways.end()).size());
}

template <typename T>
void move_values(std::vector<T>& from, std::size_t first, std::size_t count, std::vector<T>& to) {
  const auto begin = from.begin() + static_cast<std::ptrdiff_t>(first);
  const auto end = begin + static_cast<std::ptrdiff_t>(count);
  to.insert(to.end(), begin, end);
  from.erase(begin, end);
}

void move_token(const ExchangeCase& c, CaseTokens& from, int t, CaseTokens& to) {
  const auto at = static_cast<std::size_t>(t);
  const auto k = static_cast<std::size_t>(c.top_k);
  const std::size_t row =
      static_cast<std::size_t>(c.options.hidden) * element_size(c.options.element);
  move_values(from.expert, at * k, k, to.expert);
  move_values(from.weight, at * k, k, to.weight);
  move_values(from.device, at * k, k, to.device);
  if (!from.grid.empty()) move_values(from.grid, at, 1, to.grid);
  move_values(from.rows, at * row, row, to.rows);
  --from.tokens;
  ++to.tokens;
}

// Rows that go from one device to another, found one row at a time.
std::map<std::pair<int, int>, int> rows_to_move(std::vector<int> rows) {
  const int all = std::accumulate(rows.begin(), rows.end(), 0);
  const int count = static_cast<int>(rows.size());
  const int low = all / count, high = (all + count - 1) / count;
  std::map<std::pair<int, int>, int> moved;
  while (true) {
    const auto from = std::find_if(rows.begin(), rows.end(), [&](int its) { return its > high; });
    const auto to = std::find_if(rows.begin(), rows.end(), [&](int its) { return its < low; });
    if (from == rows.end() || to == rows.end()) return moved;
    --*from;
    ++*to;
    ++moved[{static_cast<int>(from - rows.begin()), static_cast<int>(to - rows.begin())}];
  }
}

void even_node(const ExchangeCase& c, int node, EvenedTokens& evened) {
  const int first = c.topology.first_device(node);
  std::vector<std::vector<int>> of_token;  // [devices of the node][tokens] rows
  std::vector<int> rows;
  for (int d = first; d < first + c.topology.devices_on(node); ++d) {
    const CaseTokens& its = evened.of[static_cast<std::size_t>(d)];
    of_token.emplace_back();
    for (int t = 0; t < its.tokens; ++t) of_token.back().push_back(crossing(c, its, t, d));
    rows.push_back(std::accumulate(of_token.back().begin(), of_token.back().end(), 0));
  }
  for (const auto& [ends, most] : rows_to_move(rows)) {
    if (most < 8) continue;
    CaseTokens& from = evened.of[static_cast<std::size_t>(first + ends.first)];
    CaseTokens& to = evened.of[static_cast<std::size_t>(first + ends.second)];
    std::vector<int>& its = of_token[static_cast<std::size_t>(ends.first)];
    std::vector<int> chosen;
    int left = most;
    for (int t = static_cast<int>(its.size()) - 1; t >= 0; --t) {
      const int cross = its[static_cast<std::size_t>(t)];
      if (cross == 0 || cross > left) continue;
      left -= cross;
      chosen.insert(chosen.begin(), t);
    }
    for (std::size_t i = 0; i < chosen.size(); ++i) {  // those before have gone
      move_token(c, from, chosen[i] - static_cast<int>(i), to);
      its.erase(its.begin() + chosen[i] - static_cast<int>(i));
    }
    evened.handed.push_back(
        {first + ends.first, first + ends.second, static_cast<int>(chosen.size())});
  }
}

}  // namespace

EvenedTokens even_tokens(const ExchangeCase& c, int step) {
  EvenedTokens evened;
  for (int device = 0; device < c.topology.devices(); ++device)
    evened.of.push_back(make_tokens(c, device, step));
  const bool evens = c.options.even == Even::kAlways || (c.options.even == Even::kAuto && c.uneven);
  if (!evens || c.topology.nodes() == 1) return evened;
  for (int node = 0; node < c.topology.nodes(); ++node) even_node(c, node, evened);
  return evened;
}

}  // namespace gracemoe
