#include "planner/plan_packing.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <queue>

#include "base/error.h"

namespace gracemoe {
namespace {

// [devices] instances.
std::vector<int> sizes_of(const LayerPlan& layer, int devices) {
  std::vector<int> sizes(static_cast<std::size_t>(devices));
  for (const auto& instances : layer.experts)
    for (const Instance& i : instances) ++sizes[static_cast<std::size_t>(i.device)];
  return sizes;
}

// `items` by falling size, each to the next of `slots` by rising total so far: [items] slot.
std::vector<int> match(const std::vector<std::int64_t>& sizes,
                       const std::vector<std::int64_t>& totals) {
  std::vector<int> items(sizes.size()), slots(sizes.size()), to(sizes.size());
  std::iota(items.begin(), items.end(), 0);
  std::iota(slots.begin(), slots.end(), 0);
  std::stable_sort(items.begin(), items.end(), [&](int a, int b) {
    return sizes[static_cast<std::size_t>(a)] > sizes[static_cast<std::size_t>(b)];
  });
  std::stable_sort(slots.begin(), slots.end(), [&](int a, int b) {
    return totals[static_cast<std::size_t>(a)] < totals[static_cast<std::size_t>(b)];
  });
  for (std::size_t i = 0; i < items.size(); ++i) to[static_cast<std::size_t>(items[i])] = slots[i];
  return to;
}

// [devices] the new name of each device of the layer.
std::vector<int> new_names(const std::vector<int>& sizes, const std::vector<std::int64_t>& totals,
                           const Topology& topology) {
  const auto nodes = static_cast<std::size_t>(topology.nodes());
  std::vector<std::int64_t> node_size(nodes), node_total(nodes);
  for (std::size_t d = 0; d < sizes.size(); ++d) {
    const auto node = static_cast<std::size_t>(topology.node_of(static_cast<int>(d)));
    node_size[node] += sizes[d];
    node_total[node] += totals[d];
  }
  const std::vector<int> node_to = match(node_size, node_total);
  std::vector<int> names(sizes.size());
  for (int node = 0; node < topology.nodes(); ++node) {
    const int to = node_to[static_cast<std::size_t>(node)];
    const int from = topology.first_device(node), count = topology.devices_on(node);
    std::vector<std::int64_t> inside, total;
    for (int g = 0; g < count; ++g) {
      inside.push_back(sizes[static_cast<std::size_t>(from + g)]);
      total.push_back(totals[static_cast<std::size_t>(topology.first_device(to) + g)]);
    }
    const std::vector<int> device_to = match(inside, total);
    for (int g = 0; g < count; ++g)
      names[static_cast<std::size_t>(from + g)] =
          topology.first_device(to) + device_to[static_cast<std::size_t>(g)];
  }
  return names;
}

void remove_instance(LayerPlan& layer, int expert, int device) {
  auto& instances = layer.experts[static_cast<std::size_t>(expert)];
  std::erase_if(instances, [&](const Instance& i) { return i.device == device; });
  // The heaviest is the main one: it serves the places without an instance.
  std::stable_sort(instances.begin(), instances.end(),
                   [](const Instance& a, const Instance& b) { return a.weight > b.weight; });
  const double heaviest = instances.front().weight;
  for (Instance& i : instances) i.weight /= heaviest;
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

void even_out_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster) {
  const Topology& topology = cluster.topology;
  std::vector<std::int64_t> totals(static_cast<std::size_t>(topology.devices()));
  for (LayerPlan& layer : layers) {
    const std::vector<int> sizes = sizes_of(layer, topology.devices());
    const std::vector<int> names = new_names(sizes, totals, topology);
    for (auto& instances : layer.experts)
      for (Instance& i : instances) i.device = names[static_cast<std::size_t>(i.device)];
    for (std::size_t d = 0; d < sizes.size(); ++d)
      totals[static_cast<std::size_t>(names[d])] += sizes[d];
  }
}

std::vector<Removal> removals_from(const LayerPlan& layer, const VisitState& state,
                                   const SearchCluster& cluster, int device) {
  const int place = cluster.place_of(device);
  std::vector<Removal> removals;
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    const auto& instances = layer.experts[e];
    const auto here = std::count_if(instances.begin(), instances.end(), [&](const Instance& i) {
      return cluster.place_of(i.device) == place;
    });
    const bool on = std::any_of(instances.begin(), instances.end(),
                                [&](const Instance& i) { return i.device == device; });
    if (!on || instances.size() < 2) continue;
    const int expert = static_cast<int>(e);
    if (here > 1) {  // another device of the node takes over; balance may suffer, visits do not
      removals.push_back({0, expert});
      continue;
    }
    Change change{expert, -1, place, state.main(expert)};
    for (int p = 0; change.main == place; ++p)
      if (p != place && state.holds(expert, p)) change.main = p;
    removals.push_back({state.delta(change), expert});
  }
  std::stable_sort(removals.begin(), removals.end(),
                   [](const Removal& a, const Removal& b) { return a.cost < b.cost; });
  return removals;
}

void fit_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster,
                 const std::function<std::vector<Removal>(int layer, int device)>& removals) {
  struct Choice {
    double cost;
    std::size_t layer;
    int expert;
  };
  const int devices = cluster.topology.devices();
  for (int device = 0; device < devices; ++device) {
    const auto d = static_cast<std::size_t>(device);
    std::int64_t held = 0;
    for (const LayerPlan& layer : layers) held += sizes_of(layer, devices)[d];
    const double limit = cluster.max_copies[d];
    if (static_cast<double>(held) <= limit) continue;
    std::vector<Choice> choices;
    for (std::size_t l = 0; l < layers.size(); ++l)
      for (const Removal& r : removals(static_cast<int>(l), device))
        choices.push_back({r.cost, l, r.expert});
    std::stable_sort(choices.begin(), choices.end(),
                     [](const Choice& a, const Choice& b) { return a.cost < b.cost; });
    for (const Choice& c : choices) {
      if (static_cast<double>(held) <= limit) break;
      remove_instance(layers[c.layer], c.expert, device);
      --held;
    }
    if (cluster.must_fit && static_cast<double>(held) > limit)
      fail_input({"memory of device " + std::to_string(device),
                  "room for " + std::to_string(std::llround(std::floor(limit))) + " experts",
                  std::to_string(held) + ", which are nowhere else",
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

}  // namespace gracemoe
