// The instances of a plan as flat arrays, laid out for one pick per (token, slot, layer): an expert
// with one instance costs one load; one with several costs a hash and a short scan of cumulative
// weights.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/hash.h"
#include "plan/plan.h"

namespace gracemoe {

class InstanceTable {
 public:
  // per_node: also keep, for every expert with several instances, those on each node.
  InstanceTable(const Plan& plan, bool per_node);

  // Some instances of one expert: devices, and their weights summed up to and with each; the last
  // sum is 1.
  struct Choices {
    std::span<const std::int32_t> devices;
    std::span<const double> cumulative;
  };

  int primary(int layer, int expert) const { return primary_[index(layer, expert)]; }
  bool replicated(int layer, int expert) const { return group_[index(layer, expert)] >= 0; }
  // Only for a replicated expert.
  Choices all(int layer, int expert) const { return choices(first_range(layer, expert)); }
  // Only for a replicated expert of a table made with per_node; may be empty.
  Choices on_node(int layer, int expert, int node) const {
    return choices(first_range(layer, expert) + 1 + static_cast<std::size_t>(node));
  }

 private:
  std::size_t index(int layer, int expert) const {
    return static_cast<std::size_t>(layer) * experts_ + static_cast<std::size_t>(expert);
  }
  std::size_t first_range(int layer, int expert) const {
    return static_cast<std::size_t>(group_[index(layer, expert)]) * ranges_per_expert_;
  }
  Choices choices(std::size_t range) const {
    const std::size_t begin = begin_[range];
    const std::size_t count = begin_[range + 1] - begin;
    return {{device_.data() + begin, count}, {cumulative_.data() + begin, count}};
  }
  void add_range(const std::vector<Instance>& instances);

  std::size_t experts_;
  std::size_t ranges_per_expert_;      // all, then one a node
  std::vector<std::int32_t> primary_;  // [layers, experts]
  std::vector<std::int32_t> group_;    // [layers, experts] number among the replicated ones, or -1
  std::vector<std::size_t> begin_{0};  // [replicated experts * ranges_per_expert + 1]
  std::vector<std::int32_t> device_;   // concatenated ranges
  std::vector<double> cumulative_;
};

// The draw for (token, layer, expert), uniform in [0, 1).
inline double draw(std::uint64_t token, int layer, int expert) {
  const auto place = (static_cast<std::uint64_t>(layer) << 32) | static_cast<std::uint64_t>(expert);
  return unit_interval(hash_combine(token, place));
}

// The choice whose stretch of [0, 1) holds `at`.
inline int pick(const InstanceTable::Choices& choices, double at) {
  std::size_t i = 0;
  while (i + 1 < choices.devices.size() && choices.cumulative[i] <= at) ++i;
  return choices.devices[i];
}

}  // namespace gracemoe
