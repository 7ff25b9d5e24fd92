#include "interop/placement.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

std::string layer_name(const std::string& name, std::size_t layer) {
  return name + ": MoE layer " + std::to_string(layer);
}

int largest_id(const SlotPlacement& placement) {
  int largest = -1;
  for (const auto& layer : placement.layers)
    for (const auto& slots : layer)
      for (const int expert : slots) largest = std::max(largest, expert);
  return largest;
}

void check_layer(const SlotPlacement& placement, std::size_t index, const std::string& name) {
  std::vector<bool> placed(static_cast<std::size_t>(placement.num_experts));
  for (const auto& slots : placement.layers[index]) {
    for (const int expert : slots) {
      if (expert < 0 || expert >= placement.num_experts)
        fail_input({layer_name(name, index), "expert " + std::to_string(expert),
                    "experts 0 to " + std::to_string(placement.num_experts - 1), ""});
      placed[static_cast<std::size_t>(expert)] = true;
    }
  }
  const auto missing = std::find(placed.begin(), placed.end(), false);
  if (missing != placed.end())
    fail_input(
        {layer_name(name, index), "no slot for expert " + std::to_string(missing - placed.begin()),
         "every one of " + std::to_string(placement.num_experts) + " experts at least once", ""});
}

}  // namespace

std::vector<int> SlotPlacement::slots(std::size_t layer) const {
  std::vector<int> all;
  for (const auto& device : layers[layer]) all.insert(all.end(), device.begin(), device.end());
  return all;
}

int SlotPlacement::slots_a_device() const {
  const std::size_t first = layers.empty() ? 0 : layers[0][0].size();
  for (const Layer& layer : layers)
    for (const auto& slots : layer)
      if (slots.size() != first) return 0;
  return static_cast<int>(first);
}

std::int64_t SlotPlacement::instances() const {
  std::size_t count = 0;
  for (const Layer& layer : layers)
    for (const auto& slots : layer) count += slots.size();
  return static_cast<std::int64_t>(count);
}

void settle_experts(SlotPlacement& placement, const PlacementHints& hints,
                    const std::string& name) {
  if (placement.layers.empty()) fail_input({name, "no layer", "at least one MoE layer", ""});
  const int largest = largest_id(placement);
  if (largest < 0) fail_input({name, "no slot", "at least one expert in every layer", ""});
  placement.num_experts = hints.num_experts > 0 ? hints.num_experts : largest + 1;
  if (placement.num_experts > kMaxExperts)
    fail_input({name, std::to_string(placement.num_experts) + " experts",
                "at most " + std::to_string(kMaxExperts), ""});
  for (std::size_t l = 0; l < placement.layers.size(); ++l) check_layer(placement, l, name);
}

SlotPlacement placement_of_rows(std::vector<std::vector<int>> rows, const PlacementHints& hints,
                                const std::string& name) {
  SlotPlacement placement;
  for (std::vector<int>& row : rows) {
    if (!placement.layers.empty() && row.size() != placement.layers[0][0].size())
      fail_input({layer_name(name, placement.layers.size()), std::to_string(row.size()) + " slots",
                  std::to_string(placement.layers[0][0].size()) + ", as in layer 0", ""});
    placement.layers.emplace_back().push_back(std::move(row));
  }
  settle_experts(placement, hints, name);
  return placement;
}

void deal_to_devices(SlotPlacement& placement, int devices, const std::string& name) {
  if (placement.devices == devices) return;
  if (placement.devices > 0)
    fail_input({name, std::to_string(placement.devices) + " devices",
                std::to_string(devices) + ", the devices of the topology",
                "say --topology with the file's number of devices"});
  for (std::size_t l = 0; l < placement.layers.size(); ++l) {
    const std::vector<int> all = std::move(placement.layers[l][0]);
    const auto count = static_cast<std::size_t>(devices);
    if (all.size() % count != 0)
      fail_input({layer_name(name, l), std::to_string(all.size()) + " slots",
                  "a multiple of " + std::to_string(devices) + ", the number of devices",
                  "check --topology"});
    const auto share = static_cast<std::ptrdiff_t>(all.size() / count);
    placement.layers[l].clear();
    for (auto slot = all.begin(); placement.layers[l].size() < count; slot += share)
      placement.layers[l].emplace_back(slot, slot + share);
  }
  placement.devices = devices;
}

Plan to_plan(const SlotPlacement& placement, const PlanFacts& facts, FoldedSlots* folded) {
  GM_CHECK(placement.devices == facts.topology.devices(), "to_plan: the devices are not dealt");
  Plan plan;
  plan.preset = "imported";
  plan.settings = "imported from " + facts.origin;
  if (!placement.numbers.absolute.empty())
    plan.settings += ", layers " + layer_list_text(placement.numbers.absolute) + " of the model";
  plan.model = facts.model;
  plan.fingerprint = facts.fingerprint;
  plan.num_experts = placement.num_experts;
  plan.top_k = facts.top_k;
  plan.topology = facts.topology;
  for (const auto& layer : placement.layers) {
    auto& experts = plan.layers.emplace_back().experts;
    experts.resize(static_cast<std::size_t>(placement.num_experts));
    for (std::size_t device = 0; device < layer.size(); ++device) {
      for (const int expert : layer[device]) {
        auto& instances = experts[static_cast<std::size_t>(expert)];
        if (instances.empty() || instances.back().device != static_cast<int>(device)) {
          instances.push_back({static_cast<int>(device), 1.0});
        } else {
          instances.back().weight += 1;
          if (folded != nullptr) ++folded->slots;
        }
      }
    }
    for (auto& instances : experts)  // among one instance no weight means anything
      if (instances.size() == 1) instances[0].weight = 1;
  }
  return plan;
}

SlotPlacement from_plan(const Plan& plan) {
  SlotPlacement placement;
  placement.num_experts = plan.num_experts;
  placement.devices = plan.topology.devices();
  placement.model = plan.model;
  for (const LayerPlan& layer : plan.layers) {
    auto& devices = placement.layers.emplace_back(static_cast<std::size_t>(placement.devices));
    for (const bool primaries : {true, false})
      for (std::size_t e = 0; e < layer.experts.size(); ++e)
        for (std::size_t i = 0; i < layer.experts[e].size(); ++i)
          if ((i == 0) == primaries)
            devices[static_cast<std::size_t>(layer.experts[e][i].device)].push_back(
                static_cast<int>(e));
  }
  return placement;
}

}  // namespace gracemoe
