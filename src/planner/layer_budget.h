// Copies go to the layers where they help most: one option a layer, within a budget over all.
#pragma once
#include <vector>

namespace gracemoe {

// One way to plan a layer.
struct LayerOption {
  int copies = 0;
  double cost = 0;           // to be small in the sum over layers
  double max_over_mean = 1;  // to stay within a bound on the mean over layers
};

// The option of every layer ([layers] index) with the least sum of costs for which the copies sum
// to at most `budget` and max_over_mean is at most `bound` in the mean. The budget is always kept
// (every layer needs an option without copies). Where the bound cannot be, or only the curve's
// corners within it were missed by the Lagrange multiplier that stands for it, the result is the
// best found. Deterministic. Cost: 25 * layers * options * min(budget, 2048).
std::vector<int> choose_options(const std::vector<std::vector<LayerOption>>& layers, int budget,
                                double bound);

// What each asks for ([layers]), dealt one by one in turn until `most` are gone.
std::vector<int> dealt(const std::vector<int>& asked, int most);

}  // namespace gracemoe
