#include "planner/plan_packing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>
#include <utility>

#include "base/error.h"
#include "planner/balance.h"
#include "planner/device_search.h"

namespace gracemoe {
namespace {

// [devices] instances.
std::vector<int> sizes_of(const LayerPlan& layer, int devices) {
  std::vector<int> sizes(static_cast<std::size_t>(devices));
  for (const auto& instances : layer.experts)
    for (const Instance& i : instances) ++sizes[static_cast<std::size_t>(i.device)];
  return sizes;
}

}  // namespace

int copies_of(const LayerPlan& layer) {
  std::size_t copies = 0;
  for (const auto& instances : layer.experts) copies += instances.size() - 1;
  return static_cast<int>(copies);
}

int copies_of(const std::vector<LayerPlan>& layers) {
  int copies = 0;
  for (const LayerPlan& layer : layers) copies += copies_of(layer);
  return copies;
}

std::vector<char> overfull_devices(const std::vector<LayerPlan>& layers,
                                   const SearchCluster& cluster) {
  std::vector<std::int64_t> held(cluster.max_copies.size());
  for (const LayerPlan& layer : layers) {
    const std::vector<int> sizes = sizes_of(layer, cluster.topology.devices());
    for (std::size_t d = 0; d < held.size(); ++d) held[d] += sizes[d];
  }
  std::vector<char> full(held.size());
  for (std::size_t d = 0; d < held.size(); ++d)
    full[d] = static_cast<double>(held[d]) > cluster.max_copies[d] ? 1 : 0;
  return full;
}

std::vector<Departure> departures_from(const LayerPlan& layer, const VisitState& state,
                                       const SearchCluster& cluster,
                                       const std::vector<char>& devices) {
  std::vector<Departure> departures;
  const auto consider = [&](int expert, int device) {
    const int place = cluster.place_of(device);
    const bool is_main = state.main(expert) == place;
    for (int to = 0; to < state.problem().places; ++to) {
      const int add = state.holds(expert, to) ? -1 : to;
      const Change change{expert, add, place, is_main ? to : state.main(expert)};
      // Inside the place visits stay as they are; balance may suffer.
      if (to != place)
        departures.push_back({state.delta(change), expert, device, to});
      else if (cluster.by_node())
        departures.push_back({0, expert, device, to});
    }
  };
  for (std::size_t e = 0; e < layer.experts.size(); ++e)
    for (const Instance& i : layer.experts[e])
      if (devices[static_cast<std::size_t>(i.device)] != 0) consider(static_cast<int>(e), i.device);
  const auto load = state.problem().tokens->load();
  const auto rank = [&](const Departure& d) {
    return std::pair(d.cost, load[static_cast<std::size_t>(d.expert)]);
  };
  std::stable_sort(departures.begin(), departures.end(),
                   [&](const Departure& a, const Departure& b) { return rank(a) < rank(b); });
  return departures;
}

namespace {

// Instances leave their devices, as far as that is still possible when it is their turn.
class Evacuation {
 public:
  Evacuation(std::vector<LayerPlan>& layers, const SearchCluster& cluster)
      : layers_(layers), cluster_(cluster), held_(cluster.max_copies.size()) {
    for (const LayerPlan& layer : layers) {
      sizes_.push_back(sizes_of(layer, cluster.topology.devices()));
      for (std::size_t d = 0; d < held_.size(); ++d) held_[d] += sizes_.back()[d];
    }
  }

  std::int64_t held(std::size_t device) const { return held_[device]; }
  double room(std::size_t device) const {
    return cluster_.max_copies[device] - static_cast<double>(held_[device]);
  }

  void leave(std::size_t layer, const Departure& departure) {
    auto& instances = layers_[layer].experts[static_cast<std::size_t>(departure.expert)];
    const auto instance = std::find_if(instances.begin(), instances.end(), [&](const Instance& i) {
      return i.device == departure.from;
    });
    if (instance == instances.end()) return;
    const int place = cluster_.place_of(departure.from);
    const bool others = std::any_of(instances.begin(), instances.end(), [&](const Instance& i) {
      const int there = cluster_.place_of(i.device);
      return i.device != departure.from && (there == place || there == departure.to);
    });
    const bool stays = departure.to == place;
    const int device = others && !stays ? -1 : emptiest(layer, departure.to, instances);
    if (device >= 0)
      move(layer, *instance, device);
    else if (others)
      give_up(layer, instances, instance);
  }

 private:
  void count(std::size_t layer, int device, int by) {
    held_[static_cast<std::size_t>(device)] += by;
    sizes_[layer][static_cast<std::size_t>(device)] += by;
  }

  void move(std::size_t layer, Instance& instance, int device) {
    count(layer, instance.device, -1);
    count(layer, device, 1);
    instance.device = device;
  }

  void give_up(std::size_t layer, std::vector<Instance>& instances,
               std::vector<Instance>::iterator instance) {
    count(layer, instance->device, -1);
    instances.erase(instance);
    // The heaviest is the main one: it serves the places without an instance.
    std::stable_sort(instances.begin(), instances.end(),
                     [](const Instance& a, const Instance& b) { return a.weight > b.weight; });
    const double heaviest = instances.front().weight;
    const int main = cluster_.place_of(instances.front().device);
    for (Instance& i : instances)
      if (heaviest > kSideWeight || cluster_.place_of(i.device) == main) i.weight /= heaviest;
  }

  // The place's device with the most room, which fits the layer and has no instance; -1: none.
  int emptiest(std::size_t layer, int place, const std::vector<Instance>& instances) const {
    int best = -1;
    for (int device = 0; device < cluster_.topology.devices(); ++device) {
      const auto d = static_cast<std::size_t>(device);
      const bool here = std::any_of(instances.begin(), instances.end(),
                                    [&](const Instance& i) { return i.device == device; });
      if (cluster_.place_of(device) != place || here || room(d) < 1 ||
          sizes_[layer][d] >= cluster_.max_experts[d])
        continue;
      if (best < 0 || room(d) > room(static_cast<std::size_t>(best))) best = device;
    }
    return best;
  }

  std::vector<LayerPlan>& layers_;
  const SearchCluster& cluster_;
  std::vector<std::vector<int>> sizes_;  // [layers, devices] instances
  std::vector<std::int64_t> held_;       // [devices]
};

}  // namespace

void fit_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster,
                 const std::vector<std::vector<Departure>>& departures) {
  Evacuation evacuation(layers, cluster);
  for (std::size_t d = 0; d < cluster.max_copies.size(); ++d) {
    if (evacuation.room(d) >= 0) continue;
    std::vector<std::pair<std::size_t, Departure>> choices;  // of a layer
    for (std::size_t l = 0; l < layers.size(); ++l)
      for (const Departure& departure : departures[l])
        if (departure.from == static_cast<int>(d)) choices.emplace_back(l, departure);
    std::stable_sort(choices.begin(), choices.end(),
                     [](const auto& a, const auto& b) { return a.second.cost < b.second.cost; });
    for (const auto& [layer, departure] : choices) {
      if (evacuation.room(d) >= 0) break;
      evacuation.leave(layer, departure);
    }
    if (cluster.must_fit && evacuation.room(d) < 0)
      fail_input({"memory of device " + std::to_string(d),
                  "room for " + std::to_string(std::llround(std::floor(cluster.max_copies[d]))) +
                      " experts",
                  std::to_string(evacuation.held(d)) + ", for which no other device has room",
                  "a larger memory budget, or more memory"});
  }
}

std::vector<int> take_extras(const std::vector<std::vector<ExtraCopy>>& extras, int most) {
  using Next = std::pair<double, std::size_t>;  // gain, layer
  const auto later = [](const Next& a, const Next& b) {
    return a.first != b.first ? a.first < b.first : a.second > b.second;
  };
  std::priority_queue<Next, std::vector<Next>, decltype(later)> queue(later);
  std::vector<int> taken(extras.size());
  const auto push = [&](std::size_t l) {
    const auto next = static_cast<std::size_t>(taken[l]);
    if (next < extras[l].size()) queue.emplace(extras[l][next].gain, l);
  };
  for (std::size_t l = 0; l < extras.size(); ++l) push(l);
  for (int i = 0; i < most && !queue.empty() && queue.top().first > 0; ++i) {
    const std::size_t l = queue.top().second;
    queue.pop();
    ++taken[l];
    push(l);
  }
  return taken;
}

LayerPlan balanced_layer(std::span<const double> load, int copies, const SearchCluster& cluster) {
  const auto experts = static_cast<int>(load.size());
  BalanceProblem problem;
  problem.load = load;
  problem.slots_per_device = even_slots(experts + copies, cluster.topology.devices());
  for (std::size_t d = 0; d < problem.slots_per_device.size(); ++d) {
    problem.slots_per_device[d] = std::min(problem.slots_per_device[d], cluster.max_experts[d]);
    if (!cluster.alike) problem.speed.push_back(cluster.capacity[d]);
  }
  const auto& slots = problem.slots_per_device;
  if (std::accumulate(slots.begin(), slots.end(), 0) < experts) return {};
  BalanceOptions how;
  how.shares = Shares::kEqual;
  return balance_plan(balance_layer(problem, how), load);
}

void fill_slots(LayerPlan& layer, int slots, const TokenBits& tokens,
                const SearchCluster& cluster) {
  const auto holds = [&](std::size_t expert, int device) {
    const auto& instances = layer.experts[expert];
    return std::any_of(instances.begin(), instances.end(),
                       [&](const Instance& i) { return i.device == device; });
  };
  const auto load = tokens.load();
  std::vector<std::size_t> heaviest(layer.experts.size());
  std::iota(heaviest.begin(), heaviest.end(), std::size_t{0});
  std::stable_sort(heaviest.begin(), heaviest.end(),
                   [&](std::size_t a, std::size_t b) { return load[a] > load[b]; });
  for (int device = 0; device < cluster.topology.devices(); ++device) {
    int held = 0;
    for (const std::size_t e : heaviest) held += holds(e, device) ? 1 : 0;
    for (const std::size_t e : heaviest) {
      if (held >= slots) break;
      if (holds(e, device)) continue;
      layer.experts[e].push_back({device, kSideWeight});
      ++held;
    }
  }
}

}  // namespace gracemoe
