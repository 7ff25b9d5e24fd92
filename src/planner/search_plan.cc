#include "planner/search_plan.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/quantities.h"
#include "plan/checkpoint.h"
#include "planner/moving.h"
#include "planner/plan_packing.h"
#include "planner/settings.h"

namespace gracemoe {
namespace {

// What a search has where there is no trace; 16,384 tokens know the loads of 128 experts within 3%.
constexpr std::int64_t kSampledTokens = 16'384;
constexpr std::int64_t kTimedTokens = 512;  // drawn to predict times alone
// A new plan must be better than the old one by this part: a search that begins elsewhere finds
// plans that differ by about 1% and are as good.
constexpr double kLeastGain = 0.02;

// Seconds that one visit per token adds to a layer's step: a row out and a partial sum back, on the
// links that join nodes (or the devices of the only node).
double seconds_per_visit(const CostModel& model) {
  const Cluster& cluster = model.cluster;
  const bool nodes = cluster.topology.nodes() > 1;
  const double sharing =
      nodes ? static_cast<double>(cluster.topology.devices()) / cluster.topology.nodes() : 1;
  const double sum_bytes =
      nodes ? model.workload.cross_return_row_bytes : model.workload.return_row_bytes;
  return model.workload.tokens_per_device * sharing * (model.workload.row_bytes + sum_bytes) *
         mean_seconds_per_byte(cluster);
}

double compute_seconds(const CostModel& model, int top_k) {
  return model.workload.tokens_per_device * top_k * model.seconds_per_token_expert;
}

// Relative to the mean over pairs: a visit's bytes take as long as the link is slow.
std::vector<double> node_costs(const Cluster& cluster) {
  const int nodes = cluster.topology.nodes();
  std::vector<double> cost(static_cast<std::size_t>(nodes) * static_cast<std::size_t>(nodes), 1);
  double sum = 0;
  const auto at = [&](int a, int b) -> double& {
    return cost[static_cast<std::size_t>(a) * static_cast<std::size_t>(nodes) +
                static_cast<std::size_t>(b)];
  };
  for (int a = 0; a < nodes; ++a)
    for (int b = 0; b < nodes; ++b)
      if (a != b) sum += at(a, b) = 1 / cluster.node_link(a, b).bytes_per_s;
  for (double& c : cost) c *= nodes > 1 ? nodes * (nodes - 1) / sum : 1;
  return cost;
}

SearchCluster search_cluster(const CostModel& model, const RoutingStatistics& statistics,
                             const PlannerOptions& options) {
  const Cluster& cluster = model.cluster;
  SearchCluster search = SearchCluster::uniform(cluster.topology, statistics.num_experts);
  search.must_fit = false;
  double speed = 0;
  for (const DeviceSpec& d : cluster.devices) {
    speed += d.speed;
    search.alike = search.alike && d == cluster.devices.front();
  }
  const double fair = std::ceil(options.memory_budget * statistics.num_experts * statistics.layers /
                                    cluster.topology.devices() -
                                1e-9);
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    const DeviceSpec& device = cluster.devices[d];
    search.capacity[d] = device.speed / speed;
    if (search.alike) search.max_copies[d] = fair;  // a faster device may well hold more
    if (device.memory_bytes > 0) {
      search.max_copies[d] = std::floor(device.memory_bytes / model.workload.expert_bytes);
      search.must_fit = true;
    }
  }
  search.node_cost = node_costs(cluster);
  search.alike = search.alike && cluster.node_overrides.empty() && cluster.pair_overrides.empty();
  return search;
}

GracePlusOptions search_options(const CostModel& model, const RoutingStatistics& statistics,
                                const PlannerOptions& o) {
  GracePlusOptions options;
  options.memory_budget = o.memory_budget;
  options.balance_bound = o.balance_bound;
  options.imbalance_cost = imbalance_cost(model, statistics.top_k);
  options.step_tokens = balanced_step_tokens(o, model);
  options.same_slots = o.same_slots;
  options.effort = o.effort;
  options.seed = o.seed;
  options.threads = o.threads;
  options.quiet = o.quiet;
  if (o.time_limit_s > 0)
    options.deadline = std::chrono::steady_clock::now() +
                       std::chrono::duration_cast<std::chrono::steady_clock::duration>(
                           std::chrono::duration<double>(o.time_limit_s));
  return options;
}

// Whether an old plan may be kept: within the budget, within every device's memory, and with as
// many experts on every device where that is asked for.
bool keeps_limits(const Plan& plan, const SearchCluster& cluster, const PlannerOptions& options) {
  const auto layers = static_cast<int>(plan.layers.size());
  const int devices = plan.topology.devices();
  double allowed = (options.memory_budget - 1) * plan.num_experts * layers + 1e-9;
  if (options.same_slots) {  // where experts do not divide, more is needed
    const int slots = (plan.num_experts + devices - 1) / devices;
    allowed = std::max<double>(allowed, layers * (slots * devices - plan.num_experts));
  }
  if (plan.copies() > allowed) return false;
  for (int layer = 0; layer < layers && options.same_slots; ++layer)
    for (int device = 1; device < devices; ++device)
      if (plan.experts_on(layer, device).size() != plan.experts_on(layer, 0).size()) return false;
  const std::vector<int> held = plan.instances_held();
  for (std::size_t d = 0; d < held.size() && cluster.must_fit; ++d)
    if (held[d] > cluster.max_copies[d]) return false;
  return true;
}

void note_time_of_drawn(Plan& plan, const RoutingTrace& drawn, const PlannerInput& input,
                        int threads) {
  note_predicted_time(plan, evaluate(plan, drawn, RoutingPolicy::kTopologyAware, threads),
                      input.model);
  plan.time_basis += "; tokens drawn from statistics";
}

double step_seconds(const PlannerInput& input, const RoutingTrace& trace, const Plan& plan,
                    int threads) {
  const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware, threads);
  double seconds = 0;
  for (const RoutingMetrics& layer : metrics.layers)
    seconds += predict(input.model, layer).total_s();
  return seconds;
}

// The layers as a plan, measured: what a budget buys.
MemoryPoint memory_point(const PlannerInput& input, const RoutingTrace& trace, const Plan& plan,
                         int threads) {
  const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware, threads);
  return {metrics.total.extra_memory, metrics.total.nodes_visited, metrics.total.load_max_over_mean,
          mean_layer_time(input.model, metrics).total_s()};
}

// A point for each of the plans that other budgets gave, and the plan's own.
std::vector<MemoryPoint> memory_curve(const PlannerInput& input, const RoutingTrace& trace,
                                      const Plan& plan,
                                      std::vector<std::vector<LayerPlan>> at_budgets, int threads) {
  std::vector<MemoryPoint> curve;
  if (at_budgets.empty()) return curve;
  const MemoryPoint own = memory_point(input, trace, plan, threads);
  Plan other = plan;
  for (auto& layers : at_budgets) {
    other.layers = std::move(layers);
    if (copies_of(other.layers) != copies_of(plan.layers))
      curve.push_back(memory_point(input, trace, other, threads));
  }
  const auto more = [](const MemoryPoint& a, const MemoryPoint& b) {
    return a.extra_memory < b.extra_memory;
  };
  curve.insert(std::upper_bound(curve.begin(), curve.end(), own, more), own);
  return curve;
}

void check_from(const Plan& from, const RoutingStatistics& s, const Topology& topology) {
  if (from.num_experts != s.num_experts || static_cast<int>(from.layers.size()) != s.layers ||
      from.top_k != s.top_k)
    fail_input({"plan to start from",
                counted(static_cast<std::int64_t>(from.layers.size()), "layer") + " of " +
                    counted(from.num_experts, "expert") + ", top-" + std::to_string(from.top_k),
                counted(s.layers, "layer") + " of " + counted(s.num_experts, "expert") + ", top-" +
                    std::to_string(s.top_k) + ", as the trace",
                "the plan and the trace of one model"});
  if (from.topology != topology)
    fail_input({"plan to start from", "a cluster " + from.topology.to_string(),
                topology.to_string(), "plan anew for another cluster, without --from"});
  if (other_checkpoint(from, s.fingerprint))
    fail_input({"plan to start from", "a plan for " + checkpoint_text(from.model, from.fingerprint),
                checkpoint_text(s.model, s.fingerprint) + ", as the trace",
                "plan anew for another checkpoint, without --from"});
}

}  // namespace

double imbalance_cost(const CostModel& model, int top_k) {
  const double visit = seconds_per_visit(model);
  return visit > 0 ? std::min(10.0, compute_seconds(model, top_k) / visit) : 0;
}

double budget_in_memory(const CostModel& model, const RoutingStatistics& statistics) {
  double held = 0;
  for (const DeviceSpec& device : model.cluster.devices)
    held += std::floor(device.memory_bytes / model.workload.expert_bytes);
  const double experts = static_cast<double>(statistics.num_experts) * statistics.layers;
  const auto devices = static_cast<double>(model.cluster.devices.size());
  return experts > 0 ? std::clamp(held / experts, 1.0, devices) : 1;
}

void note_expected_time(Plan& plan, const PlannerInput& input, const PlannerOptions& options) {
  note_time_of_drawn(plan,
                     sample_trace(*input.statistics, kTimedTokens, options.seed, options.threads),
                     input, options.threads);
}

void search_plan(const PlannerInput& input, const PlannerOptions& options, const Plan& start,
                 Plan& plan) {
  const RoutingStatistics& statistics = *input.statistics;
  RoutingTrace sampled;
  if (input.trace == nullptr)
    sampled = sample_trace(statistics, kSampledTokens, options.seed, options.threads);
  const RoutingTrace& trace = input.trace != nullptr ? *input.trace : sampled;
  const SearchCluster cluster = search_cluster(input.model, statistics, options);
  const GracePlusOptions how = search_options(input.model, statistics, options);
  MoveCost moves;
  if (input.from != nullptr) {
    check_from(*input.from, statistics, input.model.cluster.topology);
    moves.from = input.from;
    const double visits = std::max(1.0, input.steps) * seconds_per_visit(input.model);
    moves.per_instance = mean_moving_seconds(input.model) / visits;
    moves.inside_node = mean_moving_seconds_inside(input.model) / visits;
  }
  GracePlusResult result =
      grace_plus(trace, cluster, input.from != nullptr ? *input.from : start, how, moves);
  plan.layers = std::move(result.layers);
  for (LayerPlan& layer : plan.layers) {  // grace's, where its plan was left as it is
    layer.ratio = 0;
    layer.ratio_curve.clear();
  }
  if (input.trace == nullptr) note_time_of_drawn(plan, sampled, input, options.threads);
  plan.memory_curve =
      memory_curve(input, trace, plan, std::move(result.at_budgets), options.threads);
  if (input.from == nullptr) return;
  const double old_s = step_seconds(input, trace, *input.from, options.threads);
  const double new_s = step_seconds(input, trace, plan, options.threads);
  const double moving = moves_between(input.model, input.from->layers, plan.layers).seconds;
  if (keeps_limits(*input.from, cluster, options) &&
      (old_s - new_s) * input.steps <= moving + kLeastGain * old_s * input.steps)
    plan = *input.from;
}

}  // namespace gracemoe
