#include "routing/homes.h"

#include <functional>
#include <queue>
#include <utility>

namespace gracemoe {

std::vector<int> deal_homes(std::span<const std::int64_t> tokens, int devices) {
  using Load = std::pair<std::int64_t, int>;  // tokens so far, device
  std::priority_queue<Load, std::vector<Load>, std::greater<>> least;
  for (int device = 0; device < devices; ++device) least.emplace(0, device);
  std::vector<int> homes;
  homes.reserve(tokens.size());
  for (const std::int64_t count : tokens) {
    const auto [load, device] = least.top();
    least.pop();
    least.emplace(load + count, device);
    homes.push_back(device);
  }
  return homes;
}

}  // namespace gracemoe
