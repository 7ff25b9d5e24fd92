// Choosing the ratio r of controlled non-uniform grouping (method.md section 2).
#pragma once
#include <cstddef>
#include <span>

#include "plan/plan.h"

namespace gracemoe {

// The knee of the curve (S, U): both axes scaled to [0, 1], the point farthest above the chord from
// the least S (the largest U there) to the largest. Where no point is above it: the least S. Ties
// go to the smaller S, then the earlier point. `curve` must not be empty.
std::size_t knee(std::span<const RatioPoint> curve);

}  // namespace gracemoe
