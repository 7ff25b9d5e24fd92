#include "planner/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>
#include <queue>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/hash.h"
#include "planner/balance_search.h"
#include "planner/eplb.h"
#include "planner/parallel.h"

namespace gracemoe {
namespace {

std::size_t at(int i) { return static_cast<std::size_t>(i); }

double speed_of(const BalanceProblem& p, std::size_t device) {
  return p.speed.empty() ? 1.0 : p.speed[device];
}

double total_speed(const BalanceProblem& p) {
  return p.speed.empty() ? p.devices() : std::accumulate(p.speed.begin(), p.speed.end(), 0.0);
}

// No device needs more slots than there are experts.
std::vector<int> usable_slots(const BalanceProblem& p) {
  std::vector<int> slots = p.slots_per_device;
  for (int& s : slots) s = std::min(s, p.experts());
  return slots;
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
      fail_input({"balance: an expert's load", std::to_string(w), "a finite number, at least 0", ""});
  if (p.groups == 0) return;
  GM_CHECK(p.groups > 0 && p.nodes > 0, "balance: negative groups or nodes");
  if (p.experts() % p.groups != 0 || p.groups % p.nodes != 0 || p.devices() % p.nodes != 0)
    fail_usage({"balance: experts, groups, nodes, devices",
                std::to_string(p.experts()) + ", " + std::to_string(p.groups) + ", " +
                    std::to_string(p.nodes) + ", " + std::to_string(p.devices()),
                "groups of equal size, equally many groups and devices on every node", ""});
}

// Below this no equal shares get the busiest device.
double lower_bound(const BalanceProblem& p, std::size_t slots) {
  const double mean = std::accumulate(p.load.begin(), p.load.end(), 0.0) / total_speed(p);
  const double heaviest = *std::max_element(p.load.begin(), p.load.end());
  const double most =
      static_cast<double>(std::min(at(p.devices()), slots - at(p.experts()) + 1));
  const double fastest =
      p.speed.empty() ? 1.0 : *std::max_element(p.speed.begin(), p.speed.end());
  return std::max(mean, heaviest / most / fastest);
}

// EPLB's slots where it is defined, as it would choose them.
std::optional<EplbLayer> eplb_of(const BalanceProblem& p) {
  const auto& slots = p.slots_per_device;
  if (std::adjacent_find(slots.begin(), slots.end(), std::not_equal_to<>()) != slots.end())
    return std::nullopt;
  const std::int64_t total = std::int64_t{slots[0]} * p.devices();
  // More than an expert a device can hold is beyond us, not beyond EPLB: there every device gets
  // every expert, which is even.
  if (slots[0] >= p.experts()) return std::nullopt;
  return eplb(p.load, {static_cast<int>(total), p.devices(), 1, 0, EplbPolicy::kGlobal});
}

std::vector<int> without_duplicates(std::vector<int> slots, const SlotShape& shape) {
  for (std::size_t s = 0; s < slots.size(); ++s) {
    const auto begin = slots.begin() + static_cast<std::ptrdiff_t>(
                                           shape.first_slot[shape.device_of_slot[s]]);
    const auto here = slots.begin() + static_cast<std::ptrdiff_t>(s);
    if (std::find(begin, here, *here) != here) *here = kEmptySlot;
  }
  return slots;
}

// Copies to whom they help most, as EPLB, but no more than devices.
std::vector<int> greedy_counts(const BalanceProblem& p, const std::vector<int>& slots) {
  const auto usable = std::count_if(slots.begin(), slots.end(), [](int s) { return s > 0; });
  auto spare = std::accumulate(slots.begin(), slots.end(), std::int64_t{0}) - p.experts();
  std::vector<int> count(p.load.size(), 1);
  std::priority_queue<std::pair<double, int>> heap;
  for (int e = 0; e < p.experts(); ++e) heap.emplace(p.load[at(e)], -e);
  for (; spare > 0 && !heap.empty(); --spare) {
    const int e = -heap.top().second;
    heap.pop();
    if (count[at(e)] < usable) ++count[at(e)];
    if (count[at(e)] < usable) heap.emplace(p.load[at(e)] / count[at(e)], -e);
  }
  return count;
}

// Largest first, each where it ends soonest.
std::vector<int> greedy_slots(const BalanceProblem& p, const SlotShape& shape,
                              const std::vector<int>& slots) {
  std::vector<int> items;
  const std::vector<int> count = greedy_counts(p, slots);
  for (int e = 0; e < p.experts(); ++e) items.insert(items.end(), at(count[at(e)]), e);
  const auto share = [&](int e) { return p.load[at(e)] / count[at(e)]; };
  std::stable_sort(items.begin(), items.end(), [&](int a, int b) { return share(a) > share(b); });
  std::vector<double> load(shape.devices());
  std::vector<std::size_t> free = {shape.first_slot.begin(), shape.first_slot.end() - 1};
  std::vector<int> last(shape.devices(), kEmptySlot);  // items of an expert come in a row
  std::vector<int> placed(shape.slots(), kEmptySlot);
  for (const int e : items) {
    std::size_t best = shape.devices();
    double least = 0;
    for (std::size_t d = 0; d < shape.devices(); ++d) {
      if (free[d] == shape.first_slot[d + 1] || last[d] == e) continue;
      const double end = (load[d] + share(e)) / speed_of(p, d);
      if (best == shape.devices() || end < least) std::tie(best, least) = std::pair(d, end);
    }
    if (best == shape.devices()) continue;  // a further copy that fits nowhere
    placed[free[best]++] = e;
    load[best] += share(e);
    last[best] = e;
  }
  return placed;
}

// Slots for a goal T that even the heaviest experts' copies keep together with the lightest experts:
// heaviest first, each gets just as many copies as bring the copy and the next k - 1 of the lightest
// below T. EPLB's copies are all of one size, too small beside light experts and too large beside
// each other. What is not heavy is EPLB's to spread over the devices left. Empty: does not fit.
std::vector<int> peeled_slots(const BalanceProblem& p, double goal) {
  std::vector<int> order(p.load.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return p.load[at(a)] < p.load[at(b)]; });
  const std::size_t devices = p.slots_per_device.size(), each = at(p.slots_per_device[0]);
  std::size_t low = 0, high = order.size(), device = 0;
  std::vector<int> slots(devices * each, kEmptySlot);
  while (high - low > each) {
    const double w = p.load[at(order[high - 1])];
    std::size_t copies = 0;
    bool fits = false;
    while (!fits && device + copies < devices && low + (copies + 1) * (each - 1) < high) {
      ++copies;
      double sum = w / static_cast<double>(copies);
      for (std::size_t i = 0; i + 1 < each; ++i)
        sum += p.load[at(order[low + (copies - 1) * (each - 1) + i])];
      fits = sum <= goal;
    }
    if (!fits || copies == 1) break;
    --high;
    for (std::size_t c = 0; c < copies; ++c, ++device) {
      slots[device * each] = order[high];
      for (std::size_t i = 1; i < each; ++i) slots[device * each + i] = order[low++];
    }
  }
  const std::size_t rest = devices - device;
  if (device == 0 || rest * each < high - low) return {};
  if (rest == 0) return slots;
  std::vector<double> load;
  for (std::size_t i = low; i < high; ++i) load.push_back(p.load[at(order[i])]);
  if(load.empty()) return slots;
  const EplbLayer layer = eplb(load, {static_cast<int>(rest * each), static_cast<int>(rest)});
  for (std::size_t s = 0; s < layer.expert_of_slot.size(); ++s)
    slots[device * each + s] = order[low + at(layer.expert_of_slot[s])];
  return slots;
}

BalanceResult result_of(const BalanceProblem& p, std::vector<std::vector<int>> device_experts,
                        std::vector<std::vector<double>> share) {
  BalanceResult result;
  result.count.assign(p.load.size(), 0);
  double busiest = 0;
  for (std::size_t d = 0; d < device_experts.size(); ++d) {
    double sum = 0;
    for (std::size_t i = 0; i < device_experts[d].size(); ++i) {
      ++result.count[at(device_experts[d][i])];
      sum += p.load[at(device_experts[d][i])] * share[d][i];
    }
    busiest = std::max(busiest, sum / speed_of(p, d));
  }
  const double total = std::accumulate(p.load.begin(), p.load.end(), 0.0);
  if (total > 0) result.max_over_mean = busiest * total_speed(p) / total;
  result.device_experts = std::move(device_experts);
  result.share = std::move(share);
  return result;
}

BalanceResult equal_shares(const BalanceProblem& p, const SlotShape& shape,
                           const Placement& placement) {
  std::vector<std::vector<int>> experts(shape.devices());
  std::vector<std::vector<double>> share(shape.devices());
  for (std::size_t s = 0; s < shape.slots(); ++s)
    if (placement.expert[s] != kEmptySlot)
      experts[shape.device_of_slot[s]].push_back(placement.expert[s]);
  for (std::size_t d = 0; d < experts.size(); ++d) {
    std::sort(experts[d].begin(), experts[d].end());
    for (const int e : experts[d]) share[d].push_back(1.0 / placement.count[at(e)]);
  }
  return result_of(p, std::move(experts), std::move(share));
}

BalanceResult eplb_shares(const BalanceProblem& p, const EplbLayer& layer) {
  std::vector<std::vector<int>> experts(at(p.devices()));
  std::vector<std::vector<double>> share(at(p.devices()));
  const std::size_t per_device = layer.expert_of_slot.size() / experts.size();
  for (std::size_t d = 0; d < experts.size(); ++d) {
    const auto first = layer.expert_of_slot.begin() + static_cast<std::ptrdiff_t>(d * per_device);
    experts[d].assign(first, first + static_cast<std::ptrdiff_t>(per_device));
    std::sort(experts[d].begin(), experts[d].end());
    const std::vector<int> slots = experts[d];
    experts[d].erase(std::unique(experts[d].begin(), experts[d].end()), experts[d].end());
    for (const int e : experts[d])
      share[d].push_back(static_cast<double>(std::count(slots.begin(), slots.end(), e)) /
                         layer.count[at(e)]);
  }
  return result_of(p, std::move(experts), std::move(share));
}

// A copy more for every slot still empty, where it makes nothing worse: first to whom it helps most.
void fill_empty_slots(BalanceSearch&, Placement&) {}

BalanceResult balance_anywhere(const BalanceProblem& p, const BalanceOptions& options) {
  const std::vector<int> slots = usable_slots(p);
  const SlotShape shape = slot_shape(slots, p.speed);
  const double goal = lower_bound(p, shape.slots()) * (1 + options.tolerance);
  BalanceSearch search(shape, p.load);
  const std::optional<EplbLayer> eplb = eplb_of(p);
  Placement best = search.place(eplb ? without_duplicates(eplb->expert_of_slot, shape)
                                     : greedy_slots(p, shape, slots));
  if(eplb)for(double f:{1.01,1.04,1.1}){auto slots2=peeled_slots(p,f*goal); if(slots2.empty())continue; auto q=search.place(without_duplicates(slots2,shape));if(getenv("STEPS"))fprintf(stderr,"%g: %.4f (%.4f)\n",f,q.max_cost()/goal,best.max_cost()/goal);if(q.max_cost()<best.max_cost())best=q;}
  std::int64_t budget = options.effort > 0 ? options.effort : std::int64_t{1} << 40;
  search.set_budget(budget);
  search.descend(best, goal);
  if(getenv("STEPS"))fprintf(stderr,"%ld steps, ",search.steps);
  if (options.effort > 0) search.explore(best, goal, options.seed);
  if(getenv("STEPS"))fprintf(stderr,"%ld steps %ld kicks\n",search.steps,search.kicks);
  fill_empty_slots(search, best);
  BalanceResult result = equal_shares(p, shape, best);
  if (!eplb || options.shares == Shares::kEqual || !p.speed.empty()) return result;
  BalanceResult fallback = eplb_shares(p, *eplb);
  return fallback.max_over_mean < result.max_over_mean * (1 - 1e-12) ? fallback : result;
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
  return balance_anywhere(problem, options);
}

std::vector<BalanceResult> balance_layers(std::span<const double> loads, int layers,
                                          const BalanceProblem& shape,
                                          const BalanceOptions& options, int threads) {
  GM_CHECK(layers >= 1 && loads.size() % at(layers) == 0, "balance: loads is not [layers, experts]");
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

}  // namespace gracemoe
