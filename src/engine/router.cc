#include "engine/router.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace gracemoe {
namespace {

// Softmax in place; false if a value is not finite.
bool softmax(std::span<float> x) {
  float top = x[0];
  for (const float v : x) {
    if (!std::isfinite(v)) return false;
    top = std::max(top, v);
  }
  float sum = 0;
  for (float& v : x) sum += (v = std::exp(v - top));
  for (float& v : x) v /= sum;
  return true;
}

}  // namespace

void choose_experts(const RouterOptions& options, std::span<const float> logits, int rows,
                    RouterChoice& choice) {
  const auto n = static_cast<std::size_t>(options.experts);
  const auto k = static_cast<std::size_t>(options.top_k);
  GM_CHECK(k >= 1 && k <= n && logits.size() == n * static_cast<std::size_t>(rows),
           "router logits of another shape");
  choice.expert.resize(static_cast<std::size_t>(rows) * k);
  choice.weight.resize(static_cast<std::size_t>(rows) * k);
  std::vector<float> probability(n);
  std::vector<std::uint16_t> order(n);
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(row * n), n, probability.begin());
    if (!softmax(probability))
      fail_input({"router logits", "a value that is not finite", "finite numbers",
                  "the checkpoint's weights seem damaged"});
    std::iota(order.begin(), order.end(), std::uint16_t{0});
    std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(k), order.end(),
                      [&](auto a, auto b) {
                        return probability[a] != probability[b] ? probability[a] > probability[b]
                                                                : a < b;
                      });
    float sum = 0;
    for (std::size_t j = 0; j < k; ++j) sum += probability[order[j]];
    for (std::size_t j = 0; j < k; ++j) {
      choice.expert[row * k + j] = order[j];
      choice.weight[row * k + j] =
          options.normalize_top_k ? probability[order[j]] / sum : probability[order[j]];
    }
  }
}

}  // namespace gracemoe
