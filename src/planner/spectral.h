// Spectral clustering of experts by affinity (method.md section 2). The only user of Eigen.
#pragma once
#include <cstdint>
#include <span>

#include "planner/affinity.h"

namespace gracemoe {

struct SpectralOptions {
  int restarts = 10;  // of k-means
  std::uint64_t seed = 0;
};

// Splits `members` (distinct experts) into `count` >= 1 groups: symmetric normalised Laplacian of
// the members' affinity, its `count` leading eigenvectors, rows normalised, k-means. Experts
// without affinity to any other member are dealt out afterwards, each to the smallest group; if
// none has any, the groups are even stretches of `members`. No group is empty unless there are
// fewer members than groups. Groups come in order of their first member. Cost: an
// eigendecomposition, O(members^3).
Groups spectral_groups(const Affinity& affinity, std::span<const int> members, int count,
                       const SpectralOptions& options);

}  // namespace gracemoe
