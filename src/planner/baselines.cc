#include "planner/baselines.h"

#include <algorithm>

#include "plan/contiguous.h"

namespace gracemoe {
namespace {

// The unplaced expert with the largest score, or -1.
int best_unplaced(const std::vector<bool>& placed, const std::vector<double>& score) {
  int best = -1;
  for (int e = 0; e < static_cast<int>(placed.size()); ++e) {
    const auto i = static_cast<std::size_t>(e);
    if (!placed[i] && (best < 0 || score[i] > score[static_cast<std::size_t>(best)])) best = e;
  }
  return best;
}

void add_row(std::vector<double>& score, const Affinity& affinity, int expert, double sign) {
  const auto row = affinity.row(expert);
  for (std::size_t e = 0; e < score.size(); ++e)
    if (static_cast<int>(e) != expert) score[e] += sign * row[e];
}

}  // namespace

Groups contiguous_groups(int experts, int devices) {
  Groups groups(static_cast<std::size_t>(devices));
  int next = 0;
  for (int d = 0; d < devices; ++d)
    while (next < contiguous_end(experts, devices, d))
      groups[static_cast<std::size_t>(d)].push_back(next++);
  return groups;
}

Groups occult_groups(const Affinity& affinity, int devices) {
  const auto n = static_cast<std::size_t>(affinity.experts);
  Groups groups(static_cast<std::size_t>(devices));
  std::vector<bool> placed(n);
  std::vector<double> to_unplaced(n);
  for (int e = 0; e < affinity.experts; ++e) add_row(to_unplaced, affinity, e, 1);
  int count = 0;
  for (int d = 0; d < devices; ++d) {
    auto& group = groups[static_cast<std::size_t>(d)];
    std::vector<double> to_group(n);
    for (; count < contiguous_end(affinity.experts, devices, d); ++count) {
      const int expert = best_unplaced(placed, group.empty() ? to_unplaced : to_group);
      placed[static_cast<std::size_t>(expert)] = true;
      group.push_back(expert);
      add_row(to_unplaced, affinity, expert, -1);
      add_row(to_group, affinity, expert, 1);
    }
    std::sort(group.begin(), group.end());
  }
  return groups;
}

}  // namespace gracemoe
