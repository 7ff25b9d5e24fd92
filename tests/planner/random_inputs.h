// Seeded inputs for the planner's tests.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/hash.h"
#include "planner/affinity.h"
#include "topology/topology.h"
#include "trace/routing_trace.h"

namespace gracemoe {

class Random {
 public:
  explicit Random(std::uint64_t seed) : seed_(seed) {}
  int below(int limit) {
    return static_cast<int>(hash_combine(seed_, counter_++) % static_cast<std::uint64_t>(limit));
  }

 private:
  std::uint64_t seed_, counter_ = 0;
};

// Tokens favour one of `topics` sets of experts and, skewed, low ids; sequences of 8 tokens.
inline RoutingTrace random_trace(std::uint64_t seed, int tokens, int experts, int top_k, int layers,
                                 int topics = 3) {
  Random random(seed);
  RoutingTrace trace;
  trace.model = "random";
  trace.num_experts = experts;
  trace.top_k = top_k;
  trace.layers = layers;
  for (int t = 0; t < tokens; ++t) {
    trace.sequence.push_back(t / 8);
    const int topic = random.below(topics);
    for (int layer = 0; layer < layers; ++layer) {
      std::vector<std::uint16_t> chosen;
      while (static_cast<int>(chosen.size()) < top_k) {
        int e = std::min(random.below(experts), random.below(experts));
        if (random.below(4) != 0) e = e - e % topics + topic;
        const auto id = static_cast<std::uint16_t>(e);
        if (e < experts && std::find(chosen.begin(), chosen.end(), id) == chosen.end())
          chosen.push_back(id);
      }
      trace.experts.insert(trace.experts.end(), chosen.begin(), chosen.end());
    }
  }
  return trace;
}

inline Topology random_topology(Random& random) {
  std::vector<int> nodes;
  for (int b = random.below(4); b >= 0; --b) nodes.push_back(1 + random.below(4));
  return Topology::of(nodes);
}

// A symmetric matrix with zero diagonal; about a third of the pairs are zero.
inline std::vector<double> random_affinity(Random& random, int experts) {
  const auto n = static_cast<std::size_t>(experts);
  std::vector<double> values(n * n);
  for (std::size_t i = 0; i < n; ++i)
    for (std::size_t j = 0; j < i; ++j)
      values[i * n + j] = values[j * n + i] = random.below(3) == 0 ? 0 : random.below(100);
  return values;
}

// Sorted members of all groups.
inline std::vector<int> all_members(const Groups& groups) {
  std::vector<int> all;
  for (const auto& group : groups) all.insert(all.end(), group.begin(), group.end());
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace gracemoe
