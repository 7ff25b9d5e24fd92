// Load and affinity of a trace (method.md section 1), per MoE layer.
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "trace/routing_trace.h"

namespace gracemoe {

struct RoutingStatistics {
  std::string model, fingerprint;
  int num_experts = 0;
  int top_k = 0;
  int layers = 0;
  std::vector<double> load;  // [layers, experts] tokens that selected e; sum over e = tokens * k
  std::vector<double> affinity;  // [layers, experts, experts] tokens that selected both; symmetric,
                                 // diagonal 0; may be empty: unknown

  std::span<const double> layer_load(int layer) const {
    const auto n = static_cast<std::size_t>(num_experts);
    return {load.data() + static_cast<std::size_t>(layer) * n, n};
  }
  std::span<const double> layer_affinity(int layer) const {  // row-major [experts, experts]
    const auto n = static_cast<std::size_t>(num_experts);
    return {affinity.data() + static_cast<std::size_t>(layer) * n * n, n * n};
  }
};

// Error (kInput) where layers * experts^2 exceeds 2^29 (4 GiB).
RoutingStatistics count_statistics(const RoutingTrace& trace);
// format=moe-stats files: `load` I64 [layers, experts], `affinity` F32/I64 [layers, experts,
// experts] (its diagonal is ignored).
RoutingStatistics read_statistics(const std::filesystem::path& path);
void write_statistics(const std::filesystem::path& path, const RoutingStatistics& statistics);

}  // namespace gracemoe
