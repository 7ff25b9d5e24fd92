#include "trace/statistics.h"

#include "base/error.h"

namespace gracemoe {
namespace {

// Affinity grows with the square of a number that a file states: 2^29 doubles are 4 GiB, 2048
// experts in 128 layers.
constexpr double kMaxAffinity = 536870912.0;

void check_size(const RoutingTrace& trace) {
  const double n = trace.num_experts;
  if (trace.layers * n * n > kMaxAffinity)
    fail_input({"routing trace: affinity of " + std::to_string(trace.num_experts) + " experts in " +
                    std::to_string(trace.layers) + " layers",
                "more pairs than memory is set aside for", "at most 2^29 pairs over all layers",
                ""});
}

}  // namespace

RoutingStatistics count_statistics(const RoutingTrace& trace) {
  check_size(trace);
  const auto n = static_cast<std::size_t>(trace.num_experts);
  const auto layers = static_cast<std::size_t>(trace.layers);
  RoutingStatistics statistics;
  statistics.model = trace.model;
  statistics.fingerprint = trace.fingerprint;
  statistics.num_experts = trace.num_experts;
  statistics.top_k = trace.top_k;
  statistics.layers = trace.layers;
  statistics.load.assign(layers * n, 0);
  statistics.affinity.assign(layers * n * n, 0);
  for (int layer = 0; layer < trace.layers; ++layer) {
    double* load = statistics.load.data() + static_cast<std::size_t>(layer) * n;
    double* affinity = statistics.affinity.data() + static_cast<std::size_t>(layer) * n * n;
    for (std::int64_t token = 0; token < trace.tokens(); ++token) {
      const auto chosen = trace.chosen(token, layer);
      for (const std::size_t a : chosen) {
        load[a] += 1;
        for (const std::size_t b : chosen) affinity[a * n + b] += 1;
      }
    }
    for (std::size_t e = 0; e < n; ++e) affinity[e * n + e] = 0;
  }
  return statistics;
}

}  // namespace gracemoe
