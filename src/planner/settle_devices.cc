#include "planner/settle_devices.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/hash.h"
#include "planner/expected_load.h"

namespace gracemoe {
namespace {

constexpr std::size_t kDraws = DrawnLoads::kDraws;

// Temperatures of a search that takes steps back, in max / mean.
constexpr double kHot = 0.003, kCooling = 0.02;

class Settler {
 public:
  Settler(const LayerPlan& layer, const DrawnLoads& texts, int top_k, const SearchCluster& cluster,
          double step_tokens)
      : cluster_(cluster),
        experts_(layer.experts.size()),
        pairs_per_step_(step_tokens * top_k),
        work_(cluster.capacity.size() * kDraws),
        held_(cluster.capacity.size() * experts_),
        room_(cluster.max_experts) {
    for (std::size_t e = 0; e < experts_; ++e) add_items(layer, texts, static_cast<int>(e));
    for (const Item& item : items_)
      for (std::size_t v = 0; v < kDraws; ++v) per_sum_[v] += item.work[v];
    for (double& s : per_sum_) s = s > 0 ? 1 / s : 0;
    for (Item& item : items_) {
      for (std::size_t v = 0; v < kDraws; ++v) item.work[v] *= per_sum_[v];
      shift(item.device, item, 1);
    }
    cost_ = cost_after(-1, nullptr, -1, nullptr);
  }
  // 1 where nothing is loaded.
  double cost() const { return cost_ > 0 ? cost_ : 1; }

  void search(std::int64_t proposals, std::uint64_t seed) {
    std::uint64_t draw = 0;
    const auto unit = [&] { return unit_interval(hash_combine(seed, draw++)); };
    const auto below = [&](std::size_t n) {
      return static_cast<std::size_t>(unit() * static_cast<double>(n));
    };
    double temperature = kHot;
    const double cooling = std::pow(kCooling, 1.0 / static_cast<double>(proposals));
    for (std::int64_t step = 0; step < proposals && cost_ > 1; ++step) {
      const std::size_t a = below(items_.size()), b = below(items_.size());
      temperature *= cooling;
      if (!may_go(items_[a], items_[b].device)) continue;
      const double most = cost_ - temperature * std::log(std::max(1e-12, unit())) - 1e-12;
      if (step % 3 == 0)
        move(items_[a], items_[b].device, most);
      else if (may_go(items_[b], items_[a].device))
        exchange(items_[a], items_[b], most);
    }
  }

  void write(LayerPlan& layer) const {
    for (const Item& item : items_)
      layer.experts[static_cast<std::size_t>(item.expert)][item.instance].device = item.device;
  }

 private:
  struct Item {
    int expert;
    std::size_t instance;
    int device;
    std::array<double, kDraws> work;  // parts of each text's work
  };

  char& held(int expert, int device) {
    return held_[static_cast<std::size_t>(device) * experts_ + static_cast<std::size_t>(expert)];
  }
  bool may_go(const Item& item, int to) {
    return item.device != to &&
           cluster_.topology.node_of(item.device) == cluster_.topology.node_of(to) &&
           held(item.expert, to) == 0;
  }

  void add_items(const LayerPlan& layer, const DrawnLoads& texts, int expert) {
    const auto& instances = layer.experts[static_cast<std::size_t>(expert)];
    const std::size_t first = items_.size();
    for (std::size_t i = 0; i < instances.size(); ++i) {
      items_.push_back({expert, i, instances[i].device, {}});
      held(expert, instances[i].device) = 1;
      --room_[static_cast<std::size_t>(instances[i].device)];
    }
    for (int node = 0; node < cluster_.topology.nodes(); ++node) {
      const std::vector<double> from = shares_from_node(instances, cluster_.topology, node);
      const auto flow = texts.flow(node, expert);
      for (std::size_t i = 0; i < from.size(); ++i)
        for (std::size_t v = 0; v < kDraws; ++v) items_[first + i].work[v] += from[i] * flow[v];
    }
    for (std::size_t i = first; i < items_.size(); ++i)
      for (double& work : items_[i].work) {
        work = std::max(0.0, work);
        if (pairs_per_step_ > 0) work = -std::expm1(-work * pairs_per_step_);
      }
  }

  void shift(int device, const Item& item, double sign) {
    double* row = work_.data() + static_cast<std::size_t>(device) * kDraws;
    for (std::size_t v = 0; v < kDraws; ++v) row[v] += sign * item.work[v];
  }

  // After x went to device to_x, and y (where there is one) to to_y.
  double cost_after(int to_x, const Item* x, int to_y, const Item* y) const {
    std::array<double, kDraws> most{}, trial;
    for (int d = 0; d < static_cast<int>(cluster_.capacity.size()); ++d) {
      const double* row = work_.data() + static_cast<std::size_t>(d) * kDraws;
      if (x != nullptr && (d == to_x || d == x->device)) {
        const double sign = d == to_x ? 1 : -1;
        for (std::size_t v = 0; v < kDraws; ++v) trial[v] = row[v] + sign * x->work[v];
        if (y != nullptr && (d == to_y || d == y->device))
          for (std::size_t v = 0; v < kDraws; ++v) trial[v] -= sign * y->work[v];
        row = trial.data();
      }
      const double per_capacity = 1 / cluster_.capacity[static_cast<std::size_t>(d)];
      for (std::size_t v = 0; v < kDraws; ++v) most[v] = std::max(most[v], row[v] * per_capacity);
    }
    return std::accumulate(most.begin(), most.end(), 0.0) / kDraws;
  }

  void put(Item& item, int to) {
    shift(item.device, item, -1);
    shift(to, item, 1);
    held(item.expert, item.device) = 0;
    held(item.expert, to) = 1;
    ++room_[static_cast<std::size_t>(item.device)];
    --room_[static_cast<std::size_t>(to)];
    item.device = to;
  }

  void move(Item& item, int to, double most) {
    if (room_[static_cast<std::size_t>(to)] <= 0) return;
    const double cost = cost_after(to, &item, -1, nullptr);
    if (cost >= most) return;
    cost_ = cost;
    put(item, to);
  }

  void exchange(Item& x, Item& y, double most) {
    const int to_x = y.device, to_y = x.device;
    const double cost = cost_after(to_x, &x, to_y, &y);
    if (cost >= most) return;
    cost_ = cost;
    put(x, to_x);
    put(y, to_y);
  }

  const SearchCluster& cluster_;
  std::size_t experts_;
  double pairs_per_step_;
  std::vector<Item> items_;
  std::vector<double> work_;  // [devices, draws]
  std::vector<char> held_;    // [devices, experts]
  std::vector<int> room_;     // [devices]
  std::array<double, kDraws> per_sum_{};
  double cost_ = 0;
};

}  // namespace

double expected_imbalance(const LayerPlan& layer, const DrawnLoads& texts, int top_k,
                          const SearchCluster& cluster, double step_tokens) {
  return Settler(layer, texts, top_k, cluster, step_tokens).cost();
}

double settle_devices(LayerPlan& layer, const DrawnLoads& texts, int top_k,
                      const SearchCluster& cluster, double step_tokens, std::int64_t proposals,
                      std::uint64_t seed) {
  Settler settler(layer, texts, top_k, cluster, step_tokens);
  const double before = settler.cost();
  if (!cluster.by_node() || proposals <= 0) return before;
  settler.search(proposals, seed);
  if (settler.cost() >= before) return before;
  settler.write(layer);
  return settler.cost();
}

}  // namespace gracemoe
