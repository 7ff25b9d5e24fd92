#include "planner/planner.h"

#include <algorithm>

#include "base/error.h"
#include "base/hash.h"
#include "planner/baselines.h"
#include "planner/parallel.h"

namespace gracemoe {
namespace {

// Tables of experts x devices are made a layer: 2^27 doubles are 1 GiB.
constexpr double kMaxTable = 134217728.0;

void check(const RoutingStatistics& statistics, const Topology& topology,
           const PlannerOptions& options) {
  const auto n = static_cast<std::size_t>(statistics.num_experts);
  const auto layers = static_cast<std::size_t>(statistics.layers);
  GM_CHECK(statistics.num_experts >= 1 && statistics.layers >= 1, "planner: empty statistics");
  GM_CHECK(statistics.load.size() == layers * n, "planner: load is not [layers, experts]");
  GM_CHECK(statistics.affinity.empty() || statistics.affinity.size() == layers * n * n,
           "planner: affinity is not [layers, experts, experts]");
  if (static_cast<double>(n) * topology.devices() > kMaxTable)
    fail_usage({"planner: experts times devices",
                std::to_string(n) + " x " + std::to_string(topology.devices()),
                "at most 2^27 in all", ""});
  if (options.placement != Placement::kContiguous && statistics.affinity.empty())
    fail_input({"preset " + options.preset, "statistics without an affinity",
                "how often pairs of experts serve the same token",
                "plan from a routing trace, or use the preset contiguous"});
}

LayerPlan plan_layer(const RoutingStatistics& statistics, int layer, const Topology& topology,
                     const PlannerOptions& options) {
  const auto load = statistics.layer_load(layer);
  const int n = statistics.num_experts;
  if (options.placement == Placement::kContiguous)
    return replicated_layer(contiguous_groups(n, topology.devices()), load, options.replication);
  const Affinity affinity{n, statistics.layer_affinity(layer)};
  if (options.placement == Placement::kOccult)
    return replicated_layer(occult_groups(affinity, topology.devices()), load, options.replication);
  const std::uint64_t seed = hash_combine(options.seed, static_cast<std::uint64_t>(layer));
  HierarchicalGroups groups = hierarchical_groups(
      affinity, topology, {options.ratio_policy, options.ratio, {options.kmeans_restarts, seed}});
  LayerPlan plan = replicated_layer(groups.devices, load, options.replication);
  plan.ratio = groups.ratio;
  plan.ratio_curve = std::move(groups.curve);
  return plan;
}

}  // namespace

Plan make_plan(const RoutingStatistics& statistics, const Topology& topology,
               const PlannerOptions& options) {
  check(statistics, topology, options);
  Plan plan;
  plan.preset = options.preset;
  plan.settings = describe(options);
  plan.model = statistics.model;
  plan.fingerprint = statistics.fingerprint;
  plan.num_experts = statistics.num_experts;
  plan.top_k = statistics.top_k;
  plan.topology = topology;
  plan.layers.resize(static_cast<std::size_t>(statistics.layers));
  parallel_for(statistics.layers, options.threads, [&](int layer) {
    plan.layers[static_cast<std::size_t>(layer)] = plan_layer(statistics, layer, topology, options);
  });
  return plan;
}

}  // namespace gracemoe
