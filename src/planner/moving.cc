#include "planner/moving.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace gracemoe {
namespace {

// Of value(link) over the pairs of nodes; links are symmetric.
template <typename Value>
double mean_over_pairs(const Cluster& cluster, Value value) {
  const int nodes = cluster.topology.nodes();
  if (nodes == 1) return value(cluster.node_link(0, 0));
  double sum = 0;
  for (int a = 0; a < nodes; ++a)
    for (int b = a + 1; b < nodes; ++b) sum += value(cluster.node_link(a, b));
  return sum / (0.5 * nodes * (nodes - 1));
}

double seconds_to(int device, const std::vector<Instance>& holders, const CostModel& model) {
  double fastest = std::numeric_limits<double>::infinity();
  for (const Instance& holder : holders)
    fastest = std::min(
        fastest, model.cluster.link(holder.device, device).seconds(model.workload.expert_bytes));
  return fastest;
}

}  // namespace

Moves moves_between(const CostModel& model, const std::vector<LayerPlan>& from,
                    const std::vector<LayerPlan>& to) {
  GM_CHECK(from.size() == to.size(), "moves between plans of different layers");
  Moves moves;
  for (std::size_t l = 0; l < to.size(); ++l)
    for (std::size_t e = 0; e < to[l].experts.size(); ++e) {
      const std::vector<Instance>& before = from[l].experts[e];
      for (const Instance& i : to[l].experts[e]) {
        if (std::any_of(before.begin(), before.end(),
                        [&](const Instance& b) { return b.device == i.device; }))
          continue;
        ++moves.instances;
        moves.seconds += seconds_to(i.device, before, model);
      }
    }
  return moves;
}

double mean_moving_seconds(const CostModel& model) {
  return mean_over_pairs(model.cluster, [&](const LinkSpec& link) {
    return link.seconds(model.workload.expert_bytes);
  });
}

double mean_moving_seconds_inside(const CostModel& model) {
  const int nodes = model.cluster.topology.nodes();
  double sum = 0;
  for (int node = 0; node < nodes; ++node)
    sum += model.cluster.node_link(node, node).seconds(model.workload.expert_bytes);
  return sum / nodes;
}

double mean_seconds_per_byte(const Cluster& cluster) {
  return mean_over_pairs(cluster, [](const LinkSpec& link) { return 1 / link.bytes_per_s; });
}

}  // namespace gracemoe
