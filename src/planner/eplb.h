// EPLB, DeepSeek's published expert-parallelism load balancer (github.com/deepseek-ai/EPLB): the
// baseline for balance. Loads only, redundant slots, two policies:
//   hierarchical: the expert groups of group-limited routing are packed to nodes, each node's
//     experts get the node's share of the redundant slots, these are packed to the node's devices;
//   global: the same with one group and one node.
// Redundant slots go, one by one, to the expert with the largest load a copy. Packing takes items
// in falling order of load, each to the least loaded pack that is not full; packs of one item are
// numbered as the items are. Arithmetic is float32 and ties go to the lower index, as upstream's on
// a CPU do (there a property of the library, not promised), so that whole-number
// loads below 2^24 give its result slot by slot.
#pragma once
#include <span>
#include <vector>

#include "plan/plan.h"

namespace gracemoe {

enum class EplbPolicy {
  kAuto,  // upstream's choice: hierarchical where the groups divide evenly among the nodes and
          // every other number fits too, else global
  kHierarchical,
  kGlobal,
};

struct EplbOptions {
  int slots = 0;    // expert copies in all; a multiple of devices, at least one an expert
  int devices = 1;  // device d holds slots [d * slots / devices, (d + 1) * slots / devices)
  int nodes = 1;    // devices are numbered node by node, the same number on each
  int groups = 0;   // of consecutive experts; 0: the model has none, so kAuto is global and
                    // kHierarchical takes every expert as a group of its own
  EplbPolicy policy = EplbPolicy::kAuto;
};

struct EplbLayer {
  std::vector<int> expert_of_slot;  // [slots]; a device may hold an expert twice
  std::vector<int> count;           // [experts] slots
};

// Errors: kUsage where a division above has a remainder or the slots do not suffice, kInput where a
// load is negative or not finite. Cost: O(slots log slots).
EplbLayer eplb(std::span<const double> load, const EplbOptions& options);

// Whether groups, nodes and devices divide as the hierarchical policy needs it, so that kAuto is
// kHierarchical.
bool hierarchical_fits(int experts, const EplbOptions& options);

// Every slot of an expert serves an equal share: [devices] loads, and the largest over the mean
// (1 where nothing is loaded).
std::vector<double> slot_loads(const EplbLayer& layer, std::span<const double> load, int devices);
double slots_max_over_mean(const EplbLayer& layer, std::span<const double> load, int devices);

// As a plan, where no device holds an expert twice: such slots become one instance with their
// number as its weight, so that polling by weight keeps every device's load. Instances by device.
LayerPlan eplb_plan(const EplbLayer& layer, std::span<const double> load, int devices);

}  // namespace gracemoe
