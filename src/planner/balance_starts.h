// Where the search of balance_layer() starts: expert_of_slot without duplicates on a device.
#pragma once
#include <span>
#include <vector>

#include "planner/balance_search.h"
#include "planner/eplb.h"

namespace gracemoe {

// EPLB's slots; where a device holds an expert twice, one is exchanged with another device's slot
// if neither gets above EPLB's busiest device, and is left empty otherwise.
std::vector<int> eplb_start(const EplbLayer& layer, std::span<const double> load,
                            const SlotShape& shape);

// For shapes that EPLB does not know (unequal slots or speeds): EPLB's counts, but at most one a
// device; then the largest first, each where it ends soonest.
std::vector<int> greedy_start(std::span<const double> load, const SlotShape& shape);

// For a goal that even the heaviest experts' copies keep together with the lightest experts: from
// the heaviest down, each expert gets as many copies as bring a copy and the lightest k - 1 experts
// left below the goal, k being the slots of a device. What is not heavy is EPLB's to spread over
// the devices left. EPLB alone makes all copies of one size, too small beside light experts and too
// large beside each other: 320 devices of two slots under a Zipf load end at 1.15 times the mean,
// a search from here at 1.05. Empty where it does not work out. Slots and speeds must be equal.
std::vector<int> peeled_start(std::span<const double> load, const SlotShape& shape, double goal);

}  // namespace gracemoe
