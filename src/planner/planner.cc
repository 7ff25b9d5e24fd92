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
}

// The same number on every device, enough for every expert, none holding one twice.
int slots_a_device(int experts, int devices, double budget) {
  const auto per_device = static_cast<int>(std::floor(budget * experts / devices + 1e-9));
  return std::clamp(per_device, (experts + devices - 1) / devices, experts);
}

LayerPlan eplb_layer(std::span<const double> load, const Topology& topology,
                     const PlannerOptions& options) {
  const int devices = topology.devices();
  EplbOptions eplb_options;
  eplb_options.devices = devices;
  eplb_options.nodes = topology.uniform() ? topology.nodes() : 1;
  eplb_options.slots =
      devices * slots_a_device(static_cast<int>(load.size()), devices, options.memory_budget);
  eplb_options.groups = options.expert_groups;
  eplb_options.policy = options.eplb_policy;
  return eplb_plan(eplb(load, eplb_options), load, devices);
}

LayerPlan balance_layer_plan(std::span<const double> load, const Cluster& cluster,
                             const PlannerOptions& options) {
  const Topology& topology = cluster.topology;
  BalanceProblem problem;
  problem.load = load;
  problem.slots_per_device.assign(
      static_cast<std::size_t>(topology.devices()),
      slots_a_device(static_cast<int>(load.size()), topology.devices(), options.memory_budget));
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

Plan empty_plan(const RoutingStatistics& statistics, const Topology& topology,
                const PlannerOptions& options) {
  Plan plan;
  plan.preset = options.preset;
  plan.settings = describe(options);
  plan.model = statistics.model;
  plan.fingerprint = statistics.fingerprint;
  plan.num_experts = statistics.num_experts;
  plan.top_k = statistics.top_k;
  plan.topology = topology;
  plan.layers.resize(static_cast<std::size_t>(statistics.layers));
  return plan;
}

Plan make_layers(const RoutingStatistics& statistics, const Cluster& cluster,
                 const PlannerOptions& options) {
  Plan plan = empty_plan(statistics, cluster.topology, options);
  parallel_for(statistics.layers, options.threads, [&](int layer) {
    plan.layers[static_cast<std::size_t>(layer)] = plan_layer(statistics, layer, cluster, options);
  });
  return plan;
}

}  // namespace

Plan make_plan(const PlannerInput& input, const PlannerOptions& options) {
  check(*input.statistics, input.model.cluster.topology, options);
  if (options.placement != Placement::kSearch)
    return make_layers(*input.statistics, input.model.cluster, options);
  // grace's placement is among the search's beginnings; without an affinity, the order is.
  PlannerOptions start = preset_grace();
  if (input.statistics->affinity.empty()) start = preset_contiguous();
  start.seed = options.seed;
  start.threads = options.threads;
  Plan plan = empty_plan(*input.statistics, input.model.cluster.topology, options);
  search_plan(input, options, make_layers(*input.statistics, input.model.cluster, start), plan);
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
