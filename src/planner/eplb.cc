#include "planner/eplb.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <string>

#include "base/error.h"

namespace gracemoe {
namespace {

struct Packing {
  std::vector<int> pack, rank;  // [items]; rank: the item's place in its pack
};

struct Candidate {
  float value;
  int index;
};
// For std::priority_queue, whose top is the element that no other comes after.
struct LargestFirst {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.value != b.value ? a.value < b.value : a.index > b.index;
  }
};
struct LeastFirst {
  bool operator()(const Candidate& a, const Candidate& b) const {
    return a.value != b.value ? a.value > b.value : a.index > b.index;
  }
};
template <class Order>
using Heap = std::priority_queue<Candidate, std::vector<Candidate>, Order>;

std::vector<int> falling_order(std::span<const float> weight) {
  std::vector<int> order(weight.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return weight[static_cast<std::size_t>(a)] > weight[static_cast<std::size_t>(b)];
  });
  return order;
}

// Equally many items a pack, loads as even as the greedy gets them.
Packing balanced_packing(std::span<const float> weight, int packs) {
  const int items = static_cast<int>(weight.size());
  const int most = items / packs;
  Packing result{std::vector<int>(weight.size()), std::vector<int>(weight.size(), 0)};
  if (most == 1) {
    std::iota(result.pack.begin(), result.pack.end(), 0);
    return result;
  }
  Heap<LeastFirst> open;
  for (int p = 0; p < packs; ++p) open.push({0, p});
  std::vector<int> held(static_cast<std::size_t>(packs));
  for (const int item : falling_order(weight)) {
    const auto i = static_cast<std::size_t>(item);
    const auto [load, pack] = open.top();
    open.pop();
    result.pack[i] = pack;
    result.rank[i] = held[static_cast<std::size_t>(pack)]++;
    if (result.rank[i] + 1 < most) open.push({load + weight[i], pack});
  }
  return result;
}

struct Replicas {
  std::vector<int> item;   // [slots]: every item once, then the redundant ones
  std::vector<int> count;  // [items]
};

Replicas replicate(std::span<const float> weight, int slots) {
  Replicas result{std::vector<int>(weight.size()), std::vector<int>(weight.size(), 1)};
  std::iota(result.item.begin(), result.item.end(), 0);
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < weight.size(); ++i) all.push_back({weight[i], static_cast<int>(i)});
  Heap<LargestFirst> heap({}, std::move(all));
  while (static_cast<int>(result.item.size()) < slots) {
    const int item = heap.top().index;
    heap.pop();
    result.item.push_back(item);
    const auto i = static_cast<std::size_t>(item);
    heap.push({weight[i] / static_cast<float>(++result.count[i]), item});
  }
  return result;
}

// Step 1: the experts of every node, in the order in which its slots count them.
std::vector<std::vector<int>> experts_of_nodes(std::span<const float> weight, int groups,
                                               int nodes) {
  const std::size_t size = weight.size() / static_cast<std::size_t>(groups);
  std::vector<float> sums;
  for (std::size_t g = 0; g < static_cast<std::size_t>(groups); ++g) {
    const auto part = weight.subspan(g * size, size);
    sums.push_back(std::accumulate(part.begin(), part.end(), 0.0F));
  }
  const Packing packing = balanced_packing(sums, nodes);
  std::vector<std::vector<int>> experts(
      static_cast<std::size_t>(nodes),
      std::vector<int>(weight.size() / static_cast<std::size_t>(nodes)));
  for (std::size_t g = 0; g < sums.size(); ++g) {
    const auto first = experts[static_cast<std::size_t>(packing.pack[g])].begin() +
                       static_cast<std::ptrdiff_t>(size) * packing.rank[g];
    std::iota(first, first + static_cast<std::ptrdiff_t>(size), static_cast<int>(g * size));
  }
  return experts;
}

// Steps 2 and 3 for one node: fills its stretch of slots.
void fill_node(std::span<const float> weight, const std::vector<int>& experts, int devices,
               std::span<int> expert_of_slot, std::vector<int>& count) {
  std::vector<float> own;
  for (const int e : experts) own.push_back(weight[static_cast<std::size_t>(e)]);
  const Replicas replicas = replicate(own, static_cast<int>(expert_of_slot.size()));
  std::vector<float> share;
  for (const int item : replicas.item) {
    const auto i = static_cast<std::size_t>(item);
    share.push_back(own[i] / static_cast<float>(replicas.count[i]));
  }
  const Packing packing = balanced_packing(share, devices);
  const int per_device = static_cast<int>(expert_of_slot.size()) / devices;
  for (std::size_t s = 0; s < share.size(); ++s) {
    const int expert = experts[static_cast<std::size_t>(replicas.item[s])];
    const int slot = packing.pack[s] * per_device + packing.rank[s];
    expert_of_slot[static_cast<std::size_t>(slot)] = expert;
    ++count[static_cast<std::size_t>(expert)];
  }
}

void check(std::span<const double> load, const EplbOptions& o) {
  GM_CHECK(!load.empty() && o.devices >= 1 && o.nodes >= 1 && o.groups >= 0, "eplb: empty problem");
  const int experts = static_cast<int>(load.size());
  if (o.slots < experts || o.slots % o.devices != 0)
    fail_usage({"eplb: expert slots", std::to_string(o.slots),
                "a multiple of the " + std::to_string(o.devices) + " devices, at least " +
                    std::to_string(experts) + ", one an expert",
                ""});
  for (const double w : load)
    if (!(w >= 0 && std::isfinite(static_cast<float>(w))))
      fail_input({"eplb: an expert's load", std::to_string(w), "a finite number, at least 0", ""});
}

bool fits_hierarchical(int experts, int groups, const EplbOptions& o) {
  return groups > 0 && groups % o.nodes == 0 && experts % groups == 0 && o.devices % o.nodes == 0;
}

// 0: global.
int groups_to_use(int experts, const EplbOptions& o) {
  if (o.policy == EplbPolicy::kGlobal) return 0;
  if (o.policy == EplbPolicy::kAuto) return fits_hierarchical(experts, o.groups, o) ? o.groups : 0;
  const int groups = o.groups == 0 ? experts : o.groups;
  if (!fits_hierarchical(experts, groups, o))
    fail_usage({"eplb: the hierarchical policy",
                std::to_string(experts) + " experts in " + std::to_string(groups) + " groups on " +
                    std::to_string(o.nodes) + " nodes with " + std::to_string(o.devices) +
                    " devices",
                "groups of equal size, equally many groups and devices on every node",
                "use the global policy"});
  return groups;
}

}  // namespace

bool hierarchical_fits(int experts, const EplbOptions& options) {
  return fits_hierarchical(experts, options.groups, options);
}

EplbLayer eplb(std::span<const double> load, const EplbOptions& options) {
  check(load, options);
  const int groups = groups_to_use(static_cast<int>(load.size()), options);
  const int nodes = groups == 0 ? 1 : options.nodes;
  const std::vector<float> weight(load.begin(), load.end());
  EplbLayer layer{std::vector<int>(static_cast<std::size_t>(options.slots)),
                  std::vector<int>(load.size())};
  const auto per_node = layer.expert_of_slot.size() / static_cast<std::size_t>(nodes);
  std::size_t first = 0;
  for (const auto& experts : experts_of_nodes(weight, std::max(1, groups), nodes)) {
    fill_node(weight, experts, options.devices / nodes,
              std::span(layer.expert_of_slot).subspan(first, per_node), layer.count);
    first += per_node;
  }
  return layer;
}

std::vector<double> slot_loads(const EplbLayer& layer, std::span<const double> load, int devices) {
  std::vector<double> sums(static_cast<std::size_t>(devices));
  const std::size_t per_device = layer.expert_of_slot.size() / sums.size();
  for (std::size_t s = 0; s < layer.expert_of_slot.size(); ++s) {
    const auto e = static_cast<std::size_t>(layer.expert_of_slot[s]);
    sums[s / per_device] += load[e] / layer.count[e];
  }
  return sums;
}

double slots_max_over_mean(const EplbLayer& layer, std::span<const double> load, int devices) {
  const std::vector<double> sums = slot_loads(layer, load, devices);
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  return total > 0 ? *std::max_element(sums.begin(), sums.end()) * devices / total : 1;
}

LayerPlan eplb_plan(const EplbLayer& layer, std::span<const double> load, int devices) {
  LayerPlan plan;
  plan.experts.resize(load.size());
  const std::size_t per_device = layer.expert_of_slot.size() / static_cast<std::size_t>(devices);
  for (std::size_t s = 0; s < layer.expert_of_slot.size(); ++s) {
    auto& instances = plan.experts[static_cast<std::size_t>(layer.expert_of_slot[s])];
    const int device = static_cast<int>(s / per_device);
    if (instances.empty() || instances.back().device != device)
      instances.push_back({device, 1.0});
    else
      instances.back().weight += 1;
  }
  const double total = std::accumulate(load.begin(), load.end(), 0.0);
  if (total > 0) {
    plan.predicted_load = slot_loads(layer, load, devices);
    for (double& w : plan.predicted_load) w /= total;
  }
  return plan;
}

}  // namespace gracemoe
