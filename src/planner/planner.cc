#include "planner/planner.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "planner/balance.h"
#include "planner/baselines.h"
#include "planner/c2r.h"
#include "planner/parallel.h"
#include "planner/search_plan.h"
#include "planner/settings.h"

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
  const bool by_affinity = options.placement == Placement::kC2r ||
                           options.placement == Placement::kOccult ||
                           options.placement == Placement::kHierarchical;
  if (by_affinity && statistics.affinity.empty())
    fail_input({"preset " + options.preset, "statistics without an affinity",
                "how often pairs of experts serve the same token",
                "plan from a routing trace, or use a preset that needs loads only: contiguous, "
                "eplb, balance or grace+"});
  const bool groups_on_nodes =
      (options.placement == Placement::kBalance && options.expert_groups > 0) ||
      (options.placement == Placement::kEplb && options.eplb_policy == EplbPolicy::kHierarchical);
  if (groups_on_nodes && !topology.uniform())
    fail_usage({"preset " + options.preset + ": groups of experts that stay on a node",
                "nodes of " + topology.to_string() + " devices", "nodes of equal size",
                options.placement == Placement::kBalance ? "leave --expert-groups out"
                                                         : "take the global policy"});
}

LayerPlan eplb_layer(std::span<const double> load, const Topology& topology,
                     const PlannerOptions& options) {
  const EplbOptions how = eplb_options(options, topology, static_cast<int>(load.size()));
  return eplb_plan(eplb(load, how), load, topology.devices());
}

LayerPlan balance_layer_plan(std::span<const double> load, const Cluster& cluster,
                             const PlannerOptions& options) {
  const Topology& topology = cluster.topology;
  BalanceProblem problem;
  problem.load = load;
  problem.slots_per_device.assign(
      static_cast<std::size_t>(topology.devices()),
      slots_a_device(static_cast<int>(load.size()), topology.devices(), options.memory_budget));
  if (!cluster.same_speeds())
    for (const DeviceSpec& device : cluster.devices) problem.speed.push_back(device.speed);
  problem.groups = options.expert_groups;
  problem.nodes = options.expert_groups > 0 ? topology.nodes() : 1;
  BalanceOptions how;
  how.seed = options.seed;
  return balance_plan(balance_layer(problem, how), load);
}

LayerPlan plan_layer(const RoutingStatistics& statistics, int layer, const Cluster& cluster,
                     const PlannerOptions& options) {
  const auto load = statistics.layer_load(layer);
  const int n = statistics.num_experts;
  const Topology& topology = cluster.topology;
  if (options.placement == Placement::kContiguous)
    return replicated_layer(contiguous_groups(n, topology.devices()), load, options.replication);
  if (options.placement == Placement::kEplb) return eplb_layer(load, topology, options);
  if (options.placement == Placement::kBalance) return balance_layer_plan(load, cluster, options);
  const Affinity affinity{n, statistics.layer_affinity(layer)};
  if (options.placement == Placement::kC2r)
    return replicated_layer(c2r_groups(affinity, topology.devices()), load, options.replication);
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

Plan empty_plan(const PlannerInput& input, const PlannerOptions& options) {
  const RoutingStatistics& statistics = *input.statistics;
  Plan plan;
  plan.preset = options.preset;
  plan.settings = describe(options, input);
  plan.model = statistics.model;
  plan.fingerprint = statistics.fingerprint;
  plan.num_experts = statistics.num_experts;
  plan.top_k = statistics.top_k;
  plan.topology = input.model.cluster.topology;
  plan.layers.resize(static_cast<std::size_t>(statistics.layers));
  return plan;
}

Plan make_layers(const PlannerInput& input, const PlannerOptions& options) {
  const RoutingStatistics& statistics = *input.statistics;
  const Cluster& cluster = input.model.cluster;
  Plan plan = empty_plan(input, options);
  parallel_for(statistics.layers, options.threads, [&](int layer) {
    plan.layers[static_cast<std::size_t>(layer)] = plan_layer(statistics, layer, cluster, options);
  });
  return plan;
}

}  // namespace

Plan make_plan(const PlannerInput& input, const PlannerOptions& options) {
  check(*input.statistics, input.model.cluster.topology, options);
  if (options.placement != Placement::kSearch) {
    Plan plan = make_layers(input, options);
    check_memory(plan, input.model.cluster, input.model.workload.expert_bytes);
    return plan;
  }
  // grace's placement is among the search's beginnings; without an affinity, the order is.
  PlannerOptions start = preset_grace();
  if (input.statistics->affinity.empty()) start = preset_contiguous();
  start.seed = options.seed;
  start.threads = options.threads;
  Plan plan = empty_plan(input, options);
  search_plan(input, options, make_layers(input, start), plan);
  check_memory(plan, input.model.cluster, input.model.workload.expert_bytes);
  return plan;
}

Plan make_plan(const RoutingStatistics& statistics, const Topology& topology,
               const PlannerOptions& options) {
  PlannerInput input;
  input.statistics = &statistics;
  input.model = make_cost_model(Cluster::uniform(topology), {}, StepWorkload{}.tokens_per_device);
  return make_plan(input, options);
}

}  // namespace gracemoe
