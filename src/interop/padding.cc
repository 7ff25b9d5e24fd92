#include "interop/padding.h"

#include <algorithm>
#include <optional>
#include <tuple>

#include "base/error.h"
#include "routing/homes.h"

namespace gracemoe {
namespace {

// A trace's tokens by the node of their home, and where each expert occurs in a layer.
class HomeTokens {
 public:
  HomeTokens(const RoutingTrace& trace, const Topology& topology) : trace_(trace) {
    std::vector<std::int64_t> lengths;  // of the sequences, in order of appearance
    for (std::size_t t = 0; t < trace.sequence.size(); ++t) {
      if (t == 0 || trace.sequence[t] != trace.sequence[t - 1]) lengths.push_back(0);
      ++lengths.back();
    }
    const std::vector<int> homes = deal_homes(lengths, topology.devices());
    for (std::size_t s = 0; s < homes.size(); ++s)
      node_.insert(node_.end(), static_cast<std::size_t>(lengths[s]), topology.node_of(homes[s]));
  }
  void enter_layer(int layer) {
    layer_ = layer;
    tokens_of_.assign(static_cast<std::size_t>(trace_.num_experts), {});
    for (std::int64_t t = 0; t < tokens(); ++t)
      for (const std::uint16_t expert : chosen(t)) tokens_of_[expert].push_back(t);
  }
  std::int64_t tokens() const { return trace_.tokens(); }
  int node(std::int64_t token) const { return node_[static_cast<std::size_t>(token)]; }
  std::span<const std::uint16_t> chosen(std::int64_t t) const { return trace_.chosen(t, layer_); }
  const std::vector<std::int64_t>& tokens_of(int expert) const {
    return tokens_of_[static_cast<std::size_t>(expert)];
  }

 private:
  const RoutingTrace& trace_;
  std::vector<int> node_;  // [tokens] of home
  int layer_ = 0;
  std::vector<std::vector<std::int64_t>> tokens_of_;  // [experts]
};

// One layer being filled.
class LayerFiller {
 public:
  LayerFiller(SlotPlacement::Layer& layer, int experts, const Topology& topology, HomeTokens* homes,
              std::span<const double> load)
      : layer_(layer), topology_(topology), homes_(homes), load_(load) {
    const auto n = static_cast<std::size_t>(experts);
    instances_.resize(n);
    first_node_.assign(n, -1);
    on_device_.assign(layer.size(), std::vector<bool>(n));
    on_node_.assign(static_cast<std::size_t>(topology.nodes()), std::vector<bool>(n));
    for (std::size_t d = 0; d < layer.size(); ++d)
      for (const int expert : layer[d]) note(static_cast<int>(d), expert);
    device_load_.resize(layer.size());
    for (std::size_t d = 0; d < layer.size(); ++d)
      for (const int expert : layer[d]) device_load_[d] += load_each(expert);
    gain_.assign(on_node_.size(), std::vector<std::int64_t>(n));
    if (homes_ != nullptr)
      for (std::int64_t t = 0; t < homes_->tokens(); ++t) add_gains(t, 1);
  }

  // -> copies added
  std::int64_t fill(std::size_t slots_a_device) {
    std::int64_t added = 0;
    while (const std::optional<Choice> best = best_choice(slots_a_device)) {
      place(*best);
      ++added;
    }
    return added;
  }

 private:
  struct Choice {
    int device = 0, expert = 0;
    std::int64_t gain = 0;
    double load = 0;
    int instances = 0;
  };

  void note(int device, int expert) {
    const auto e = static_cast<std::size_t>(expert);
    const int node = topology_.node_of(device);
    ++instances_[e];
    if (first_node_[e] < 0) first_node_[e] = node;
    on_device_[static_cast<std::size_t>(device)][e] = true;
    on_node_[static_cast<std::size_t>(node)][e] = true;
  }

  double load_each(int expert) const {
    const auto e = static_cast<std::size_t>(expert);
    return load_.empty() ? 0 : load_[e] / instances_[e];
  }

  bool lacks(int node, int expert) const {
    return !on_node_[static_cast<std::size_t>(node)][static_cast<std::size_t>(expert)];
  }

  // Counts the token, `sign` times, for each expert that is the only one to take it to some node.
  void add_gains(std::int64_t token, int sign) {
    const int home = homes_->node(token);
    const auto chosen = homes_->chosen(token);
    for (const std::uint16_t expert : chosen) {
      if (!lacks(home, expert)) continue;
      const int node = first_node_[expert];
      const auto there = [&](std::uint16_t e) { return lacks(home, e) && first_node_[e] == node; };
      if (std::count_if(chosen.begin(), chosen.end(), there) == 1)
        gain_[static_cast<std::size_t>(home)][expert] += sign;
    }
  }

  // The least loaded device of the node with a free slot that lacks the expert; -1: none.
  int device_for(int node, int expert, std::size_t slots) const {
    int best = -1;
    for (int d = topology_.first_device(node); d < topology_.first_device(node + 1); ++d) {
      const auto device = static_cast<std::size_t>(d);
      if (layer_[device].size() >= slots || on_device_[device][static_cast<std::size_t>(expert)])
        continue;
      if (best < 0 || device_load_[device] < device_load_[static_cast<std::size_t>(best)]) best = d;
    }
    return best;
  }

  // Better by usefulness alone; ties stay with the earlier one, except for the device's load.
  bool better(const Choice& a, const Choice& b) const {
    const auto key = [&](const Choice& c) {
      return std::tuple(-c.gain, -c.load, c.instances,
                        device_load_[static_cast<std::size_t>(c.device)]);
    };
    return key(a) < key(b);
  }
  // The same without the device, which is sought only where this does not settle it.
  static bool worse(const Choice& a, const Choice& b) {
    return std::tuple(-a.gain, -a.load, a.instances) > std::tuple(-b.gain, -b.load, b.instances);
  }

  std::optional<Choice> best_choice(std::size_t slots) const {
    std::optional<Choice> best;
    for (int node = 0; node < topology_.nodes(); ++node) {
      bool free = false;
      for (int d = topology_.first_device(node); d < topology_.first_device(node + 1); ++d)
        free = free || layer_[static_cast<std::size_t>(d)].size() < slots;
      if (!free) continue;
      for (int expert = 0; expert < static_cast<int>(instances_.size()); ++expert) {
        const auto e = static_cast<std::size_t>(expert);
        Choice choice{0, expert, gain_[static_cast<std::size_t>(node)][e], load_each(expert),
                      instances_[e]};
        if (best && worse(choice, *best)) continue;
        choice.device = device_for(node, expert, slots);
        if (choice.device >= 0 && (!best || better(choice, *best))) best = choice;
      }
    }
    return best;
  }

  void place(const Choice& choice) {
    const double before = load_each(choice.expert);
    const bool new_on_node = lacks(topology_.node_of(choice.device), choice.expert);
    const int node = topology_.node_of(choice.device);
    const auto recount = [&](int sign) {
      if (homes_ == nullptr || !new_on_node) return;
      for (const std::int64_t t : homes_->tokens_of(choice.expert))
        if (homes_->node(t) == node) add_gains(t, sign);
    };
    recount(-1);
    note(choice.device, choice.expert);
    recount(1);
    layer_[static_cast<std::size_t>(choice.device)].push_back(choice.expert);
    const double after = load_each(choice.expert);
    for (std::size_t d = 0; d < layer_.size(); ++d)
      if (on_device_[d][static_cast<std::size_t>(choice.expert)])
        device_load_[d] += static_cast<int>(d) == choice.device ? after : after - before;
  }

  SlotPlacement::Layer& layer_;
  const Topology& topology_;
  HomeTokens* homes_;             // null: no trace
  std::span<const double> load_;  // [experts], or empty
  std::vector<int> instances_, first_node_;
  std::vector<std::vector<bool>> on_device_, on_node_;
  std::vector<double> device_load_;              // expected, shared evenly by instances
  std::vector<std::vector<std::int64_t>> gain_;  // [nodes][experts] tokens saved a visit
};

void check_evidence(const SlotPlacement& placement, int layers, int experts, const char* kind) {
  if (layers != static_cast<int>(placement.layers.size()) || experts != placement.num_experts)
    fail_input({std::string("the ") + kind + " to pad by",
                std::to_string(layers) + " layers of " + std::to_string(experts) + " experts",
                std::to_string(placement.layers.size()) + " of " +
                    std::to_string(placement.num_experts) + ", as the placement has",
                ""});
}

int slots_needed(const SlotPlacement& placement, int slots) {
  std::size_t most = 0;
  for (const auto& layer : placement.layers)
    for (const auto& device : layer) most = std::max(most, device.size());
  const int devices = placement.devices;
  const auto need = static_cast<int>(most);
  if (slots == 0) return need;
  const std::string all =
      std::to_string(slots) + " slots on " + std::to_string(devices) + " devices";
  if (slots % devices != 0) fail_usage({"slots", all, "a multiple of the number of devices", ""});
  if (slots / devices < need)
    fail_usage({"slots", all,
                "at least " + std::to_string(std::int64_t{need} * devices) +
                    ": a device holds up to " + std::to_string(need) + " experts",
                ""});
  if (slots / devices > std::max(need, placement.num_experts))
    fail_usage({"slots", all,
                "at most " + std::to_string(std::int64_t{placement.num_experts} * devices) +
                    ", all experts on every device",
                "a further slot could only hold an expert that the device has already"});
  return slots / devices;
}

// Room in a device with duplicates (imported ones) may outnumber the experts that it lacks.
void check_full(const SlotPlacement& placement, std::size_t layer, std::size_t slots) {
  for (std::size_t d = 0; d < placement.layers[layer].size(); ++d)
    if (placement.layers[layer][d].size() < slots)
      fail_input({"MoE layer " + std::to_string(layer) + ", device " + std::to_string(d),
                  "all experts on the device, and " +
                      std::to_string(slots - placement.layers[layer][d].size()) + " slots free",
                  "an expert to put there that the device has not",
                  "choose fewer slots or devices"});
}

}  // namespace

PaddingCost pad_slots(SlotPlacement& placement, const Topology& topology, int slots,
                      const PaddingEvidence& evidence) {
  GM_CHECK(placement.devices == topology.devices(), "pad_slots: the devices are not dealt");
  std::optional<HomeTokens> homes;
  std::optional<RoutingStatistics> counted;
  const RoutingStatistics* statistics = evidence.statistics;
  if (evidence.trace != nullptr) {
    check_evidence(placement, evidence.trace->layers, evidence.trace->num_experts, "trace");
    homes.emplace(*evidence.trace, topology);
    if (statistics == nullptr) statistics = &counted.emplace(count_statistics(*evidence.trace));
  }
  if (statistics != nullptr)
    check_evidence(placement, statistics->layers, statistics->num_experts, "statistics");
  PaddingCost cost{slots_needed(placement, slots), 0};
  for (std::size_t l = 0; l < placement.layers.size(); ++l) {
    const int layer = static_cast<int>(l);
    const auto full = [&](const std::vector<int>& device) {
      return device.size() == static_cast<std::size_t>(cost.slots_a_device);
    };
    if (std::all_of(placement.layers[l].begin(), placement.layers[l].end(), full)) continue;
    if (homes) homes->enter_layer(layer);
    const auto load =
        statistics == nullptr ? std::span<const double>() : statistics->layer_load(layer);
    LayerFiller filler(placement.layers[l], placement.num_experts, topology,
                       homes ? &*homes : nullptr, load);
    cost.added += filler.fill(static_cast<std::size_t>(cost.slots_a_device));
    check_full(placement, l, static_cast<std::size_t>(cost.slots_a_device));
  }
  return cost;
}

}  // namespace gracemoe
