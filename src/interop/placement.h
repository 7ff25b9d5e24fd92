// What the placement files of all systems say in common: which expert each slot of each layer
// holds, in the order of the slots. Unlike a Plan it may hold an expert twice on one device, knows
// no weights, and may not know which slots share a device.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "interop/layer_numbers.h"
#include "plan/plan.h"

namespace gracemoe {

struct SlotPlacement {
  using Layer = std::vector<std::vector<int>>;  // [devices][slots] expert ids

  int num_experts = 0;
  int devices = 0;            // 0: unknown; then a layer is one list of all its slots
  std::vector<Layer> layers;  // [MoE layers]
  LayerNumbers numbers;
  std::string model;  // name, for people; may be empty

  // A layer's slots one after the other, device after device.
  std::vector<int> slots(std::size_t layer) const;
  // The number of slots on every device of every layer, in all of a layer where devices are
  // unknown; 0 if it is not the same everywhere.
  int slots_a_device() const;
  std::int64_t instances() const;  // slots over all layers
};

// What readers need to know that a file may not say; 0: not said.
struct PlacementHints {
  int num_experts = 0;
  int layers = 0;  // MoE layers, for files with one map for all layers
  LayerChoice choice;
};

// A placement of `rows` [MoE layers][slots], devices unknown. Settles num_experts (the largest id
// + 1, unless hinted) and checks that every expert is in every layer. Errors (kInput) name `name`,
// the layer and the expert.
SlotPlacement placement_of_rows(std::vector<std::vector<int>> rows, const PlacementHints& hints,
                                const std::string& name);
// The same check for a placement whose layers are filled.
void settle_experts(SlotPlacement& placement, const PlacementHints& hints, const std::string& name);

// Makes the devices known: slot s of S is on device s / (S / devices). Errors (kInput): the slots
// do not divide evenly; the placement has another number of devices.
void deal_to_devices(SlotPlacement& placement, int devices, const std::string& name);

struct PlanFacts {  // of the plan to make
  Topology topology;
  int top_k = 0;
  std::string model, fingerprint, origin;  // origin: where it came from, for Plan::settings
};
struct FoldedSlots {
  std::int64_t slots = 0;  // further slots of an expert that its device held already
};
// An expert's instances in slot order, so the primary is the one in the lowest slot. Slots of one
// expert on one device become one instance whose polling weight is their number: systems that
// choose among slots evenly use it so.
Plan to_plan(const SlotPlacement& placement, const PlanFacts& facts, FoldedSlots* folded = nullptr);

// A device's slots: primaries by rising id, then copies by rising id. Devices may differ in size
// (see padding.h).
SlotPlacement from_plan(const Plan& plan);

}  // namespace gracemoe
