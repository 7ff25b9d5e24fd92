// The curves that plans carry, drawn: what the group sizes were chosen from, and what memory buys.
#pragma once
#include <span>
#include <string>

#include "plan/plan.h"

namespace gracemoe {

// One panel a layer: deviation of the group sizes against affinity inside groups, the chosen ratio
// marked. A few layers open, the rest folded. Plans whose curves repeat an earlier plan's are left
// out; "" if no plan has curves.
std::string ratio_figures(std::span<const Plan> plans, std::span<const std::string> names);

// Nodes visited, max/mean and (where predicted) layer time against extra memory: a curve for every
// plan that has one, a dot for every plan that knows its own figures; and the numbers, folded. The
// colours are plan0.. in the order of `plans`. "" if no plan has a curve.
std::string memory_figures(std::span<const Plan> plans, std::span<const std::string> names);

}  // namespace gracemoe
