#include "routing/homes.h"

#include <algorithm>
#include <functional>
#include <numeric>
#include <queue>
#include <utility>

namespace gracemoe {

std::vector<int> deal_homes(std::span<const std::int64_t> tokens, int devices) {
  using Load = std::pair<std::int64_t, int>;  // tokens so far, device
  std::priority_queue<Load, std::vector<Load>, std::greater<>> least;
  for (int device = 0; device < devices; ++device) least.emplace(0, device);
  std::vector<std::size_t> order(tokens.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return tokens[a] > tokens[b]; });
  std::vector<int> homes(tokens.size());
  for (const std::size_t request : order) {
    const auto [load, device] = least.top();
    least.pop();
    least.emplace(load + tokens[request], device);
    homes[request] = device;
  }
  return homes;
}

}  // namespace gracemoe
