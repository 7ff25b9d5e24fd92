// Placements of published systems, one expert on one device each.
#pragma once
#include "planner/affinity.h"

namespace gracemoe {

// Device d holds experts [d*n/D, (d+1)*n/D).
Groups contiguous_groups(int experts, int devices);

// Occult's placement without pruning (method.md section 6): devices filled one after the other with
// n/D experts (sizes that differ by at most one); first the unplaced expert with the largest
// affinity sum to the unplaced ones, then always the unplaced expert with the largest affinity sum
// to those already on the device. Ties go to the lower expert.
Groups occult_groups(const Affinity& affinity, int devices);

}  // namespace gracemoe
