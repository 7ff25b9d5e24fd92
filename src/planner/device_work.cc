#include "planner/device_work.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/hash.h"
#include "planner/device_search.h"
#include "planner/expected_load.h"

namespace gracemoe {

DeviceWork::DeviceWork(const TokenBits& tokens, int top_k, const SearchCluster& cluster,
                       double step_tokens)
    : tokens_(tokens),
      top_k_(top_k),
      cluster_(cluster),
      step_tokens_(step_tokens),
      views_(static_cast<std::size_t>(tokens.views())),
      home_share_(cluster.home_share()),
      work_(cluster.capacity.size() * views_),
      flow_(views_) {}

void DeviceWork::add(int expert, const std::vector<Instance>& instances, double sign) {
  if (!(tokens_.pairs() > 0)) return;
  std::vector<std::vector<double>> from;  // [places][instances]
  for (int place = 0; place < cluster_.places(); ++place)
    from.push_back(cluster_.by_node() ? shares_from_node(instances, cluster_.topology, place)
                                      : shares_from_device(instances, cluster_.topology, place));
  for (std::size_t i = 0; i < instances.size(); ++i) {
    std::fill(flow_.begin(), flow_.end(), 0);
    for (std::size_t place = 0; place < from.size(); ++place) {
      const double share = home_share_[place] * from[place][i] / tokens_.pairs();
      if (!(share > 0)) continue;
      const auto load = tokens_.view_load(static_cast<int>(place), expert);
      for (std::size_t v = 0; v < views_; ++v) flow_[v] += share * load[v];
    }
    double* work = work_.data() + static_cast<std::size_t>(instances[i].device) * views_;
    for (std::size_t v = 0; v < views_; ++v)
      work[v] +=
          sign * (step_tokens_ > 0 ? -std::expm1(-flow_[v] * step_tokens_ * top_k_) : flow_[v]);
  }
}

void DeviceWork::add(const LayerPlan& layer) {
  for (std::size_t e = 0; e < layer.experts.size(); ++e)
    add(static_cast<int>(e), layer.experts[e], 1);
}

double DeviceWork::ratio(int device) const {
  const auto d = static_cast<std::size_t>(device);
  return work_[d * views_] / cluster_.capacity[d];
}

int DeviceWork::busiest() const {
  std::vector<int> times(cluster_.capacity.size());
  for (std::size_t v = 0; v < views_; ++v) {
    std::size_t most = 0;
    for (std::size_t d = 1; d < times.size(); ++d)
      if (work_[d * views_ + v] / cluster_.capacity[d] >
          work_[most * views_ + v] / cluster_.capacity[most])
        most = d;
    ++times[most];
  }
  return static_cast<int>(std::max_element(times.begin(), times.end()) - times.begin());
}

double DeviceWork::max_over_mean() const {
  most_.assign(views_, 0);
  sum_.assign(views_, 0);
  for (std::size_t d = 0; d < cluster_.capacity.size(); ++d) {
    const double per_capacity = 1 / cluster_.capacity[d];
    for (std::size_t v = 0; v < views_; ++v) {
      const double work = work_[d * views_ + v];
      sum_[v] += work;
      most_[v] = std::max(most_[v], work * per_capacity);
    }
  }
  for (std::size_t v = 0; v < views_; ++v) most_[v] = sum_[v] > 0 ? most_[v] / sum_[v] : 1;
  return expected_on_new_text(most_);
}

namespace {

// Instances on devices, and every device's work on every text.
class Balancer {
 public:
  Balancer(const VisitState& state, const SearchCluster& cluster, const LayerPlan& packed)
      : cluster_(cluster),
        views_(static_cast<std::size_t>(state.problem().tokens->views())),
        work_(cluster.capacity.size() * views_),
        sum_(views_),
        most_(views_),
        room_(cluster.max_experts) {
    for (std::size_t e = 0; e < packed.experts.size(); ++e)
      for (std::size_t i = 0; i < packed.experts[e].size(); ++i)
        add_item(state, static_cast<int>(e), static_cast<int>(i), packed.experts[e][i].device);
    cost_ = cost_after(-1, -1, nullptr, nullptr);
  }

  void anneal(std::uint64_t seed) {
    std::uint64_t draw = 0;
    const auto below = [&](std::size_t n) {
      return static_cast<std::size_t>(unit_interval(hash_combine(seed, draw++)) *
                                      static_cast<double>(n));
    };
    double temperature = 0.003;
    const double cooling = std::pow(0.02, 1.0 / static_cast<double>(proposals()));
    for (std::size_t step = 0; step < proposals(); ++step, temperature *= cooling) {
      const std::size_t a = below(items_.size()), b = below(items_.size());
      const double luck = unit_interval(hash_combine(seed, draw++));
      const double least = cost_ - temperature * std::log(std::max(1e-12, luck));
      if (items_[a].place != items_[b].place || items_[a].device == items_[b].device) continue;
      // An exchange, or a move to where the other one is.
      if (step % 3 == 0)
        move(a, items_[b].device, least);
      else
        exchange(a, b, least);
    }
  }

  // Exchanges and moves that make devices evener, until they are even enough.
  void settle(double target, std::uint64_t seed) {
    std::uint64_t draw = 0;
    const auto below = [&](std::size_t n) {
      return static_cast<std::size_t>(unit_interval(hash_combine(seed, draw++)) *
                                      static_cast<double>(n));
    };
    for (std::size_t step = 0; step < proposals() && cost_ > target; ++step) {
      const std::size_t a = below(items_.size()), b = below(items_.size());
      if (items_[a].place != items_[b].place || items_[a].device == items_[b].device) continue;
      if (step % 3 == 0)
        move(a, items_[b].device, cost_);
      else
        exchange(a, b, cost_);
    }
  }

  void write(LayerPlan& layer) const {
    for (const Item& item : items_)
      layer.experts[static_cast<std::size_t>(item.expert)][static_cast<std::size_t>(item.instance)]
          .device = item.device;
  }

 private:
  // A proposal costs devices * views.
  std::size_t proposals() const {
    return std::min<std::size_t>(40 * items_.size(), 1 + 200'000 / cluster_.capacity.size());
  }

  struct Item {
    int expert, instance, place, device;
    std::vector<double> work;  // [views]
  };

  void add_item(const VisitState& state, int expert, int instance, int device) {
    const int place = cluster_.place_of(device);
    items_.push_back({expert, instance, place, device, state.work_on(expert, place)});
    --room_[static_cast<std::size_t>(device)];
    shift(device, items_.back().work, 1);
    for (std::size_t v = 0; v < views_; ++v) sum_[v] += items_.back().work[v];
  }

  void shift(int device, const std::vector<double>& work, double sign) {
    double* row = work_.data() + static_cast<std::size_t>(device) * views_;
    for (std::size_t v = 0; v < views_; ++v) row[v] += sign * work[v];
  }

  // With `leaving` gone from device a to b and `joining` the other way; devices -1: as it is.
  double cost_after(int a, int b, const double* leaving, const double* joining) {
    std::fill(most_.begin(), most_.end(), 0);
    for (std::size_t d = 0; d < cluster_.capacity.size(); ++d) {
      const double per_capacity = 1 / cluster_.capacity[d];
      const double* row = work_.data() + d * views_;
      const double sign = static_cast<int>(d) == a ? -1 : static_cast<int>(d) == b ? 1 : 0;
      for (std::size_t v = 0; v < views_; ++v) {
        double work = row[v];
        if (sign != 0) work += sign * (leaving[v] - (joining != nullptr ? joining[v] : 0));
        most_[v] = std::max(most_[v], work * per_capacity);
      }
    }
    for (std::size_t v = 0; v < views_; ++v) most_[v] = sum_[v] > 0 ? most_[v] / sum_[v] : 1;
    return expected_on_new_text(most_);
  }

  void move(std::size_t a, int to, double least) {
    Item& item = items_[a];
    if (room_[static_cast<std::size_t>(to)] <= 0) return;
    const double cost = cost_after(item.device, to, item.work.data(), nullptr);
    if (cost >= least) return;
    cost_ = cost;
    shift(item.device, item.work, -1);
    shift(to, item.work, 1);
    ++room_[static_cast<std::size_t>(item.device)];
    --room_[static_cast<std::size_t>(to)];
    item.device = to;
  }

  void exchange(std::size_t a, std::size_t b, double least) {
    Item &x = items_[a], &y = items_[b];
    const double cost = cost_after(x.device, y.device, x.work.data(), y.work.data());
    if (cost >= least) return;
    cost_ = cost;
    shift(x.device, x.work, -1);
    shift(y.device, x.work, 1);
    shift(y.device, y.work, -1);
    shift(x.device, y.work, 1);
    std::swap(x.device, y.device);
  }

  const SearchCluster& cluster_;
  std::size_t views_;
  std::vector<Item> items_;
  std::vector<double> work_;        // [devices, views]
  std::vector<double> sum_, most_;  // [views]
  std::vector<int> room_;           // [devices]
  double cost_ = 0;
};

}  // namespace

LayerPlan balance_devices(const VisitState& state, const SearchCluster& cluster,
                          std::uint64_t seed) {
  LayerPlan layer = pack_devices(state, cluster);
  if (!cluster.by_node() || cluster.topology.devices() == cluster.topology.nodes()) return layer;
  Balancer balancer(state, cluster, layer);
  balancer.anneal(seed);
  balancer.write(layer);
  return layer;
}

void settle_devices(LayerPlan& layer, const VisitState& state, const SearchCluster& cluster,
                    double target, std::uint64_t seed) {
  if (!cluster.by_node() || cluster.topology.devices() == cluster.topology.nodes()) return;
  Balancer balancer(state, cluster, layer);
  balancer.settle(target, seed);
  balancer.write(layer);
}

}  // namespace gracemoe
