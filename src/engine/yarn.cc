#include "engine/yarn.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace gracemoe {

double yarn_mscale(double factor, double mscale) {
  return factor > 1 ? 0.1 * mscale * std::log(factor) + 1 : 1;
}

Rope yarn_rope(int dim, double theta, const YarnConfig& yarn) {
  Rope rope = plain_rope(dim, theta);
  // The (fractional) pair that turns `turns` times within the original context.
  const auto pair_of = [&](double turns) {
    return dim * std::log(yarn.original_positions / (turns * 2 * std::numbers::pi)) /
           (2 * std::log(theta));
  };
  const double low = std::max(std::floor(pair_of(yarn.beta_fast)), 0.0);
  const double high = std::min(std::ceil(pair_of(yarn.beta_slow)), dim - 1.0);
  for (std::size_t i = 0; i < rope.frequencies.size(); ++i) {
    const double stretched =
        std::clamp((static_cast<double>(i) - low) / std::max(high - low, 0.001), 0.0, 1.0);
    rope.frequencies[i] *= 1 - stretched + stretched / yarn.factor;
  }
  rope.magnitude =
      yarn_mscale(yarn.factor, yarn.mscale) / yarn_mscale(yarn.factor, yarn.mscale_all_dim);
  return rope;
}

}  // namespace gracemoe
