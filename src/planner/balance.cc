#include "planner/balance.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "planner/balance_search.h"
#include "planner/balance_starts.h"
#include "planner/eplb.h"
#include "planner/parallel.h"

namespace gracemoe {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

double sum(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0);
}

void check_groups(const BalanceProblem& p) {
  if (p.groups == 0) return;
  GM_CHECK(p.groups > 0 && p.nodes > 0, "balance: negative groups or nodes");
  if (p.experts() % p.groups != 0 || p.groups % p.nodes != 0 || p.devices() % p.nodes != 0)
    fail_usage({"balance: experts, groups, nodes, devices",
                std::to_string(p.experts()) + ", " + std::to_string(p.groups) + ", " +
                    std::to_string(p.nodes) + ", " + std::to_string(p.devices()),
                "groups of equal size, equally many groups and devices on every node", ""});
}

void check(const BalanceProblem& p) {
  GM_CHECK(p.experts() >= 1 && p.devices() >= 1, "balance: empty problem");
  GM_CHECK(p.speed.empty() || p.speed.size() == p.slots_per_device.size(),
           "balance: speed is not [devices]");
  for (const double s : p.speed)
    GM_CHECK(s > 0 && std::isfinite(s), "balance: a device's speed is not positive and finite");
  std::int64_t slots = 0;
  for (const int s : p.slots_per_device) slots += std::clamp(s, 0, p.experts());
  if (slots < p.experts())
    fail_usage({"balance: slots for experts", std::to_string(slots),
                "at least " + std::to_string(p.experts()) + ", one an expert",
                "allow more experts a device"});
  for (const double w : p.load)
    if (!(w >= 0 && std::isfinite(static_cast<float>(w))))
      fail_input(
          {"balance: an expert's load", std::to_string(w), "a finite number, at least 0", ""});
  check_groups(p);
}

// A device with one of c copies of the heaviest expert cannot do with that alone where slots are
// scarce: of its k instances all but the slots left over are whole experts, at best the lightest.
double heaviest_device(const BalanceProblem& p, const SlotShape& shape) {
  std::vector<double> rising(p.load.begin(), p.load.end());
  std::sort(rising.begin(), rising.end());
  std::size_t least = shape.slots();
  for (std::size_t d = 0; d < shape.devices(); ++d)
    least = std::min(least, shape.first_slot[d + 1] - shape.first_slot[d]);
  double bound = std::numeric_limits<double>::infinity();
  const std::size_t spare = shape.slots() - p.load.size();
  for (std::size_t c = 1; c <= std::min(shape.devices(), spare + 1); ++c) {
    const std::size_t over = spare - (c - 1) + 1;  // and the copy itself
    double cost = rising.back() / static_cast<double>(c);
    for (std::size_t i = 0; i + over < least; ++i) cost += rising[i];
    bound = std::min(bound, cost);
  }
  return bound;
}

// Equal shares get the busiest device no lower.
double lower_bound(const BalanceProblem& p, const SlotShape& shape) {
  if (p.speed.empty()) return std::max(sum(p.load) / p.devices(), heaviest_device(p, shape));
  const double fastest = *std::max_element(p.speed.begin(), p.speed.end());
  const std::size_t copies = std::min(shape.devices(), shape.slots() - p.load.size() + 1);
  const double heaviest = *std::max_element(p.load.begin(), p.load.end());
  return std::max(sum(p.load) / sum(p.speed), heaviest / static_cast<double>(copies) / fastest);
}

// Where it is defined. With a slot for every expert on every device it is not needed: that is even.
std::optional<EplbLayer> eplb_of(const BalanceProblem& p) {
  const auto& slots = p.slots_per_device;
  const bool equal =
      std::adjacent_find(slots.begin(), slots.end(), std::not_equal_to<>()) == slots.end();
  if (!equal || !p.speed.empty() || slots[0] >= p.experts()) return std::nullopt;
  return eplb(p.load, {slots[0] * p.devices(), p.devices(), 1, 0, EplbPolicy::kGlobal});
}

std::vector<Placement> starts(const BalanceProblem& p, const SlotShape& shape,
                              const std::optional<EplbLayer>& eplb, const BalanceSearch& search,
                              double bound) {
  if (!eplb) return {search.place(greedy_start(p.load, shape))};
  std::vector<Placement> found{search.place(eplb_start(*eplb, p.load, shape))};
  std::optional<Placement> best;
  for (const double slack : {1.01, 1.04, 1.10}) {
    if (slack * bound >= found[0].max_cost() || (best && slack * bound >= best->max_cost())) break;
    std::vector<int> slots = peeled_start(p.load, shape, slack * bound);
    if (slots.empty()) continue;
    Placement peeled = search.place(std::move(slots));
    if (!best || peeled.max_cost() < best->max_cost()) best = std::move(peeled);
  }
  if (best) found.push_back(std::move(*best));
  return found;
}

bool less_busy(const Placement& a, const Placement& b) {
  return a.max_cost() < b.max_cost();
}

// The better start gets most of what it takes to improve it; then each shows in an eighth of the
// effort what is in it, and the best gets all that is left.
Placement searched(BalanceSearch& search, std::vector<Placement> found, double goal,
                   const BalanceOptions& options) {
  constexpr std::int64_t kUnlimited = std::int64_t{1} << 40;
  std::stable_sort(found.begin(), found.end(), less_busy);
  std::int64_t left = options.effort;
  for (std::size_t i = 0; i < found.size(); ++i)
    left -= search.descend(found[i], goal,
                           options.effort > 0 ? left * (i == 0 ? 6 : 7) / 10 : kUnlimited);
  if (found.size() > 1)
    for (Placement& p : found)
      left -= search.explore(p, goal, std::min(left, options.effort / 8), options.seed);
  Placement best = *std::min_element(found.begin(), found.end(), less_busy);
  search.explore(best, goal, left, hash_combine(options.seed, 1));
  return best;
}

BalanceResult equal_shares(const BalanceProblem& p, const SlotShape& shape,
                           const Placement& placement) {
  std::vector<std::vector<int>> experts(shape.devices());
  std::vector<std::vector<double>> share(shape.devices());
  for (std::size_t s = 0; s < shape.slots(); ++s) {
    const int e = placement.expert[s];
    if (e == kEmptySlot) continue;
    experts[shape.device_of_slot[s]].push_back(e);
    share[shape.device_of_slot[s]].push_back(1.0 / placement.count[at(e)]);
  }
  return balance_of(std::move(experts), std::move(share), p.load, p.speed);
}

BalanceResult eplb_shares(const BalanceProblem& p, const EplbLayer& layer) {
  std::vector<std::vector<int>> experts(at(p.devices()));
  std::vector<std::vector<double>> share(experts.size());
  const std::size_t per_device = layer.expert_of_slot.size() / experts.size();
  for (std::size_t s = 0; s < layer.expert_of_slot.size(); ++s) {
    const std::size_t d = s / per_device;
    const int e = layer.expert_of_slot[s];
    const auto known = std::find(experts[d].begin(), experts[d].end(), e) - experts[d].begin();
    if (known == std::ssize(experts[d])) {
      experts[d].push_back(e);
      share[d].push_back(0);
    }
    share[d][static_cast<std::size_t>(known)] += 1.0 / layer.count[at(e)];
  }
  return balance_of(std::move(experts), std::move(share), p.load, p.speed);
}

BalanceResult balance_anywhere(const BalanceProblem& p, const BalanceOptions& options) {
  constexpr double kRounding = 1 + 1e-12;
  std::vector<int> slots = p.slots_per_device;
  for (int& s : slots) s = std::clamp(s, 0, p.experts());
  const SlotShape shape = slot_shape(slots, p.speed);
  BalanceSearch search(shape, p.load);
  const double bound = lower_bound(p, shape);
  double goal = bound * (1 + options.tolerance);
  const std::optional<EplbLayer> eplb = eplb_of(p);
  if (!eplb) {
    const Placement best = searched(search, starts(p, shape, eplb, search, bound), goal, options);
    return equal_shares(p, shape, best);
  }
  BalanceResult published = eplb_shares(p, *eplb);
  const double reached = published.max_over_mean * sum(p.load) / p.devices() * kRounding;
  goal = std::max(bound, std::min(goal, reached));
  Placement best = searched(search, starts(p, shape, eplb, search, bound), goal, options);
  // Equal shares are worth a longer search: not every runtime polls by weight.
  search.explore(best, reached, 2 * options.effort, hash_combine(options.seed, 2));
  BalanceResult result = equal_shares(p, shape, best);
  const bool beaten = published.max_over_mean * kRounding < result.max_over_mean;
  return beaten && options.shares == Shares::kBestKnown ? published : result;
}

// A node's own problem: the experts of its groups on its devices. [nodes] groups.
BalanceResult balance_within_nodes(const BalanceProblem& p, const BalanceOptions& options,
                                   const std::vector<std::vector<int>>& groups_of_node) {
  const int per_node = p.devices() / p.nodes, size = p.experts() / p.groups;
  std::vector<std::vector<int>> experts;
  std::vector<std::vector<double>> share;
  for (int node = 0; node < p.nodes; ++node) {
    std::vector<int> own;
    for (const int g : groups_of_node[at(node)])
      for (int i = 0; i < size; ++i) own.push_back(g * size + i);
    std::vector<double> load;
    for (const int e : own) load.push_back(p.load[at(e)]);
    BalanceProblem part;
    part.load = load;
    for (int d = node * per_node; d < (node + 1) * per_node; ++d) {
      part.slots_per_device.push_back(p.slots_per_device[at(d)]);
      if (!p.speed.empty()) part.speed.push_back(p.speed[at(d)]);
    }
    BalanceResult result = balance_layer(part, options);
    for (auto& device : result.device_experts) {
      for (int& e : device) e = own[at(e)];
      experts.push_back(std::move(device));
    }
    share.insert(share.end(), result.share.begin(), result.share.end());
  }
  return balance_of(std::move(experts), std::move(share), p.load, p.speed);
}

// [nodes] as evenly as the search gets them.
std::vector<std::vector<int>> even_groups(const BalanceProblem& p, const BalanceOptions& options) {
  BalanceProblem nodes;
  std::vector<double> load(at(p.groups));
  for (int e = 0; e < p.experts(); ++e) load[at(e / (p.experts() / p.groups))] += p.load[at(e)];
  nodes.load = load;
  nodes.slots_per_device.assign(at(p.nodes), p.groups / p.nodes);
  if (!p.speed.empty()) {
    nodes.speed.resize(at(p.nodes));
    for (int d = 0; d < p.devices(); ++d)
      nodes.speed[at(d / (p.devices() / p.nodes))] += p.speed[at(d)];
  }
  return balance_layer(nodes, options).device_experts;
}

// [nodes] as EPLB packs them, in its order and arithmetic: ties within nodes go as its.
std::vector<std::vector<int>> packed_groups(const BalanceProblem& p) {
  std::vector<float> load(at(p.groups));
  for (int e = 0; e < p.experts(); ++e)
    load[at(e / (p.experts() / p.groups))] += static_cast<float>(p.load[at(e)]);
  const std::vector<double> exact(load.begin(), load.end());
  const EplbLayer packed = eplb(exact, {p.groups, p.nodes, 1, 0, EplbPolicy::kGlobal});
  std::vector<std::vector<int>> groups(at(p.nodes));
  for (int s = 0; s < p.groups; ++s)
    groups[at(s / (p.groups / p.nodes))].push_back(packed.expert_of_slot[at(s)]);
  return groups;
}

BalanceResult balance_groups(const BalanceProblem& p, const BalanceOptions& options) {
  BalanceResult published = balance_within_nodes(p, options, packed_groups(p));
  BalanceResult even = balance_within_nodes(p, options, even_groups(p, options));
  return even.max_over_mean < published.max_over_mean ? even : published;
}

}  // namespace

std::vector<int> even_slots(int total, int devices) {
  GM_CHECK(total >= 0 && devices >= 1, "even_slots: no devices");
  std::vector<int> slots(at(devices), total / devices);
  for (int d = 0; d < total % devices; ++d) ++slots[at(d)];
  return slots;
}

BalanceResult balance_layer(const BalanceProblem& problem, const BalanceOptions& options) {
  check(problem);
  return problem.groups > 0 ? balance_groups(problem, options) : balance_anywhere(problem, options);
}

std::vector<BalanceResult> balance_layers(std::span<const double> loads, int layers,
                                          const BalanceProblem& shape,
                                          const BalanceOptions& options, int threads) {
  GM_CHECK(layers >= 1 && loads.size() % at(layers) == 0,
           "balance: loads is not [layers, experts]");
  const std::size_t experts = loads.size() / at(layers);
  std::vector<BalanceResult> results(at(layers));
  parallel_for(layers, threads, [&](int layer) {
    BalanceProblem problem = shape;
    problem.load = loads.subspan(at(layer) * experts, experts);
    BalanceOptions own = options;
    own.seed = hash_combine(options.seed, static_cast<std::uint64_t>(layer));
    results[at(layer)] = balance_layer(problem, own);
  });
  return results;
}

BalanceResult balance_of(std::vector<std::vector<int>> device_experts,
                         std::vector<std::vector<double>> share, std::span<const double> load,
                         std::span<const double> speed) {
  BalanceResult result;
  result.count.assign(load.size(), 0);
  double busiest = 0;
  std::vector<std::pair<int, double>> held;
  for (std::size_t d = 0; d < device_experts.size(); ++d) {
    held.clear();
    for (std::size_t i = 0; i < device_experts[d].size(); ++i)
      held.emplace_back(device_experts[d][i], share[d][i]);
    std::sort(held.begin(), held.end());
    double cost = 0;
    for (std::size_t i = 0; i < held.size(); ++i) {
      std::tie(device_experts[d][i], share[d][i]) = held[i];
      ++result.count[at(held[i].first)];
      cost += load[at(held[i].first)] * held[i].second;
    }
    busiest = std::max(busiest, speed.empty() ? cost : cost / speed[d]);
  }
  const double speeds = speed.empty() ? static_cast<double>(device_experts.size()) : sum(speed);
  if (sum(load) > 0) result.max_over_mean = busiest * speeds / sum(load);
  result.device_experts = std::move(device_experts);
  result.share = std::move(share);
  return result;
}

LayerPlan balance_plan(const BalanceResult& result, std::span<const double> load) {
  constexpr double kLeastWeight = 1e-6;
  LayerPlan plan;
  plan.experts.resize(load.size());
  plan.predicted_load.assign(result.device_experts.size(), 0);
  for (std::size_t d = 0; d < result.device_experts.size(); ++d) {
    for (std::size_t i = 0; i < result.device_experts[d].size(); ++i) {
      const std::size_t e = at(result.device_experts[d][i]);
      const double share = result.share[d][i];
      plan.experts[e].push_back({static_cast<int>(d), std::max(share, kLeastWeight)});
      plan.predicted_load[d] += load[e] * share;
    }
  }
  for (auto& instances : plan.experts)
    std::stable_sort(instances.begin(), instances.end(),
                     [](const Instance& a, const Instance& b) { return a.weight > b.weight; });
  const double total = sum(load);
  for (double& w : plan.predicted_load) w /= total;
  if (!(total > 0)) plan.predicted_load.clear();
  return plan;
}

}  // namespace gracemoe
