// Seeded expert loads of the kinds that balancing meets.
#pragma once
#include <cmath>
#include <vector>

#include "base/hash.h"
#include "planner/random_inputs.h"

namespace gracemoe {

enum class LoadKind { kZipf, kSteepZipf, kLogNormal, kUniform, kOneHot, kMostlyZero, kTies, kZero };
constexpr int kLoadKinds = 8;

inline double random_unit(Random& random) {
  return (random.below(1 << 20) + 0.5) / (1 << 20);
}

// Whole numbers, as counts of tokens are.
inline std::vector<double> random_loads(Random& random, LoadKind kind, int experts) {
  std::vector<int> rank;
  for (int e = 0; e < experts; ++e) rank.insert(rank.begin() + random.below(e + 1), e);
  std::vector<double> load;
  for (const int r : rank) {
    const double normal = std::sqrt(-2 * std::log(random_unit(random))) *
                          std::cos(6.283185307179586 * random_unit(random));
    double w = 0;
    if (kind == LoadKind::kZipf) w = 1e5 / (r + 1);
    if (kind == LoadKind::kSteepZipf) w = 1e5 * std::pow(r + 1, -1.5);
    if (kind == LoadKind::kLogNormal) w = 1000 * std::exp(normal);
    if (kind == LoadKind::kUniform) w = 1 + random.below(1000);
    if (kind == LoadKind::kOneHot) w = r == 0 ? 1e5 : 100 + random.below(10);
    if (kind == LoadKind::kMostlyZero) w = r <= experts / 8 ? 1 + random.below(1000) : 0;
    if (kind == LoadKind::kTies) w = 100 * (1 + r % 3);
    load.push_back(std::floor(w));
  }
  return load;
}

}  // namespace gracemoe
