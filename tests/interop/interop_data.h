// The files of tests/data/interop, and seeded inputs.
#pragma once
#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/files.h"
#include "base/hash.h"
#include "plan/plan.h"
#include "trace/routing_trace.h"

namespace gracemoe {

inline std::filesystem::path interop_data(const std::string& name) {
  return std::filesystem::path(GRACEMOE_SOURCE_DIR) / "tests/data/interop" / name;
}
inline std::string interop_text(const std::string& name) {
  return read_file(interop_data(name));
}

// The placement of most of these files, in order of slots.
inline const std::vector<std::vector<int>>& data_rows() {
  static const std::vector<std::vector<int>> rows{{0, 1, 2, 3, 4, 5, 6, 7, 0, 5},
                                                  {7, 6, 5, 4, 3, 2, 1, 0, 2, 6}};
  return rows;
}

class Dice {
 public:
  explicit Dice(std::uint64_t seed) : seed_(seed) {}
  int below(int limit) {
    return static_cast<int>(hash_combine(seed_, counter_++) % static_cast<std::uint64_t>(limit));
  }

 private:
  std::uint64_t seed_, counter_ = 0;
};

// Low ids are chosen more often; sequences of 5 tokens.
inline RoutingTrace skewed_trace(Dice& dice, int tokens, int experts, int top_k, int layers) {
  RoutingTrace trace;
  trace.num_experts = experts;
  trace.top_k = top_k;
  trace.layers = layers;
  for (int t = 0; t < tokens; ++t) {
    trace.sequence.push_back(t / 5);
    for (int row = 0; row < layers; ++row) {
      const std::size_t begin = trace.experts.size();
      while (trace.experts.size() < begin + static_cast<std::size_t>(top_k)) {
        const auto e =
            static_cast<std::uint16_t>(std::min(dice.below(experts), dice.below(experts)));
        if (std::find(trace.experts.begin() + static_cast<std::ptrdiff_t>(begin),
                      trace.experts.end(), e) == trace.experts.end())
          trace.experts.push_back(e);
      }
    }
  }
  return trace;
}

// Every expert somewhere, some on further devices; polling weights 1.
inline Plan random_plan(Dice& dice, const Topology& topology, int experts, int layers) {
  Plan plan;
  plan.num_experts = experts;
  plan.top_k = 1;
  plan.topology = topology;
  for (int l = 0; l < layers; ++l) {
    auto& placed = plan.layers.emplace_back().experts;
    for (int e = 0; e < experts; ++e) {
      auto& instances = placed.emplace_back();
      const int first = dice.below(topology.devices());
      for (int d = first; d < topology.devices(); ++d)
        if (d == first || dice.below(5) == 0) instances.push_back({d, 1.0});
    }
  }
  return plan;
}

}  // namespace gracemoe
