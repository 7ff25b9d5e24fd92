// The same number of slots on every device and in every layer, which other systems' runtimes want:
// devices with fewer instances get further copies, the most useful ones first, never an expert that
// they hold already.
#pragma once
#include <cstdint>
#include <string>

#include "interop/placement.h"
#include "trace/routing_trace.h"
#include "trace/statistics.h"

namespace gracemoe {

// What usefulness goes by. With a trace: the tokens with their home on the device's node that no
// longer have to visit some other node, which without the copy they visit for this expert alone;
// then, or with statistics only, the expert's load per instance; then, or with neither, its fewest
// instances. Homes are those of a run of the trace (routing/homes.h); an expert that a node lacks
// is taken to be served by the node of its first instance.
struct PaddingEvidence {
  const RoutingTrace* trace = nullptr;
  const RoutingStatistics* statistics = nullptr;  // counted from the trace where null
};

struct PaddingCost {
  int slots_a_device = 0;
  std::int64_t added = 0;  // copies, over all layers
};

// Fills up to `slots` in a layer in all (0: devices times the largest number of instances on any
// device of any layer). Ties go to the less loaded device, then to the lower ids, so the result
// depends on nothing else. Errors: kUsage if `slots` is no multiple of the devices, too few, or so
// many that a device would hold an expert twice; kInput if the evidence is of other experts or
// layers. Cost: a few operations a (token, expert) and a (copy added, node, expert).
PaddingCost pad_slots(SlotPlacement& placement, const Topology& topology, int slots,
                      const PaddingEvidence& evidence);

}  // namespace gracemoe
