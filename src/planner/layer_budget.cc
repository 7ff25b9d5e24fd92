#include "planner/layer_budget.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "base/error.h"

namespace gracemoe {
namespace {

using Options = std::vector<std::vector<LayerOption>>;

constexpr int kMostUnits = 2048;  // the budget is dealt in this many parts, if it is larger
constexpr double kNever = std::numeric_limits<double>::infinity();

// Multiple-choice knapsack, exact but for copies being rounded up to units.
std::vector<int> knapsack(const Options& layers, int budget, double weight_of_balance) {
  const int unit = (budget + kMostUnits - 1) / kMostUnits;
  const int units = unit > 0 ? budget / unit : 0;
  const auto width = static_cast<std::size_t>(units) + 1;
  std::vector<double> best(width, 0);  // by units that may be used
  std::vector<std::vector<int>> chosen;
  for (const auto& options : layers) {
    std::vector<double> next(width, kNever);
    std::vector<int> choice(width, -1);
    for (std::size_t o = 0; o < options.size(); ++o) {
      const int need = unit > 0 ? (options[o].copies + unit - 1) / unit : options[o].copies;
      if (need > units) continue;
      const double cost = options[o].cost + weight_of_balance * options[o].max_over_mean;
      for (int u = need; u <= units; ++u) {
        const double sum = best[static_cast<std::size_t>(u - need)] + cost;
        const auto at = static_cast<std::size_t>(u);
        if (sum < next[at]) next[at] = sum, choice[at] = static_cast<int>(o);
      }
    }
    GM_CHECK(choice.back() >= 0, "layer budget: a layer without an option that fits");
    best = std::move(next);
    chosen.push_back(std::move(choice));
  }
  std::vector<int> result(layers.size());
  int left = units;
  for (std::size_t l = layers.size(); l-- > 0;) {
    result[l] = chosen[l][static_cast<std::size_t>(left)];
    const int copies = layers[l][static_cast<std::size_t>(result[l])].copies;
    left -= unit > 0 ? (copies + unit - 1) / unit : copies;
  }
  return result;
}

double mean_ratio(const Options& layers, const std::vector<int>& chosen) {
  double sum = 0;
  for (std::size_t l = 0; l < layers.size(); ++l)
    sum += layers[l][static_cast<std::size_t>(chosen[l])].max_over_mean;
  return sum / static_cast<double>(layers.size());
}

}  // namespace

std::vector<int> choose_options(const Options& layers, int budget, double bound) {
  if (layers.empty()) return {};
  std::vector<int> chosen = knapsack(layers, budget, 0);
  if (mean_ratio(layers, chosen) <= bound) return chosen;
  // The least weight of balance that keeps the bound: costs rise with the weight.
  double low = 0, high = 1;
  chosen = knapsack(layers, budget, high);
  for (int i = 0; i < 8 && mean_ratio(layers, chosen) > bound; ++i) {
    low = high;
    chosen = knapsack(layers, budget, high *= 4);
  }
  for (int i = 0; i < 16 && mean_ratio(layers, chosen) <= bound; ++i) {
    const double middle = (low + high) / 2;
    const std::vector<int> trial = knapsack(layers, budget, middle);
    if (mean_ratio(layers, trial) <= bound)
      high = middle, chosen = trial;
    else
      low = middle;
  }
  return chosen;
}

std::vector<int> dealt(const std::vector<int>& asked, int most) {
  std::vector<int> given(asked.size());
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < asked.size() && most > 0; ++i)
      if (given[i] < asked[i]) ++given[i], --most, any = true;
  }
  return given;
}

}  // namespace gracemoe
