// Groups with bounded sizes (method.md section 2): controlled non-uniform grouping.
#pragma once
#include <span>
#include <vector>

#include "planner/affinity.h"

namespace gracemoe {

struct SizeBounds {
  std::vector<int> low, high;  // [groups] inclusive
};

// Bounds for groups with the given mean sizes E (`targets`, which sum to the number of experts):
//   ratio > 0: delta = max(1, round(E * ratio)), sizes in [max(1, E - delta), E + delta];
//   ratio = 0: uniform, floor(E) to ceil(E).
// Lower bounds are raised to `minimum` (empty: none), and lowered again, the largest first, where
// they ask for more experts than there are.
SizeBounds size_bounds(std::span<const double> targets, double ratio,
                       std::span<const int> minimum = {});

// From `start` to groups within `bounds`. A group above its maximum keeps the experts with the
// largest affinity sum inside it; each one put out, the most connected first, goes to the group,
// still below its maximum, where its affinity sum is largest. Then every group below its minimum
// takes, one by one, the expert whose move costs the least affinity, from groups above their
// minimum. Ties go to the lower expert, then the lower group. Bounds must be satisfiable. Cost:
// O(experts^2 + moves * experts * groups).
Groups controlled_groups(const Affinity& affinity, const Groups& start, const SizeBounds& bounds);

// Sum of A over the unordered pairs inside groups.
double affinity_inside(const Affinity& affinity, const Groups& groups);
// Sum of A over all unordered pairs.
double affinity_total(const Affinity& affinity);

}  // namespace gracemoe
