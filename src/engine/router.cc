#include "engine/router.h"

#include <algorithm>
#include <cmath>
#include <string>

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

// The `count` indices of the highest score, of equals the lower index first. Most scores are only
// looked at: with std::partial_sort a choice of 8 of 64 took a third longer.
void best_first(std::span<const float> score, std::size_t count,
                std::vector<std::uint16_t>& order) {
  order.clear();
  for (std::size_t i = 0; i < score.size(); ++i) {
    if (order.size() < count)
      order.push_back(0);
    else if (score[i] <= score[order.back()])
      continue;
    std::size_t place = order.size() - 1;
    for (; place > 0 && score[i] > score[order[place - 1]]; --place)
      order[place] = order[place - 1];
    order[place] = static_cast<std::uint16_t>(i);
  }
}

// Sets the probabilities outside the chosen groups to -1: they then come after every other.
void keep_best_groups(const RouterOptions& options, std::span<float> probability) {
  if (options.chosen_groups == options.groups) return;
  const std::size_t size = probability.size() / static_cast<std::size_t>(options.groups);
  std::vector<float> best;
  for (std::size_t first = 0; first < probability.size(); first += size) {
    const auto group = probability.subspan(first, size);
    best.push_back(*std::max_element(group.begin(), group.end()));
  }
  std::vector<std::uint16_t> order;
  best_first(best, best.size(), order);
  for (std::size_t g = static_cast<std::size_t>(options.chosen_groups); g < order.size(); ++g)
    std::ranges::fill(probability.subspan(order[g] * size, size), -1.0F);
}

[[noreturn]] void not_finite(const RouterOptions& options) {
  fail_input(
      {"router logits" + (options.layer < 0 ? "" : " of layer " + std::to_string(options.layer)),
       "a value that is not finite", "finite numbers",
       options.blame ? options.blame() : "the checkpoint's weights seem damaged"});
}

}  // namespace

RouterOptions router_options(const ModelConfig& config) {
  return {config.experts,
          config.top_k,
          config.normalize_top_k,
          static_cast<float>(config.routed_scale),
          config.expert_groups,
          config.chosen_groups,
          -1,
          {}};
}

void choose_experts(const RouterOptions& options, std::span<const float> logits, int rows,
                    RouterChoice& choice) {
  const auto n = static_cast<std::size_t>(options.experts);
  const auto k = static_cast<std::size_t>(options.top_k);
  GM_CHECK(k >= 1 && k <= n && logits.size() == n * static_cast<std::size_t>(rows),
           "router logits of another shape");
  GM_CHECK(options.groups >= 1 && options.experts % options.groups == 0 &&
               options.chosen_groups >= 1 && options.chosen_groups <= options.groups &&
               n / static_cast<std::size_t>(options.groups) *
                       static_cast<std::size_t>(options.chosen_groups) >=
                   k,
           "router groups that do not hold top_k experts");
  choice.expert.resize(static_cast<std::size_t>(rows) * k);
  choice.weight.resize(static_cast<std::size_t>(rows) * k);
  std::vector<float> probability(n);
  std::vector<std::uint16_t> order;
  for (std::size_t row = 0; row < static_cast<std::size_t>(rows); ++row) {
    std::copy_n(logits.begin() + static_cast<std::ptrdiff_t>(row * n), n, probability.begin());
    if (!softmax(probability)) not_finite(options);
    keep_best_groups(options, probability);
    best_first(probability, k, order);
    float sum = 0;
    for (std::size_t j = 0; j < k; ++j) sum += probability[order[j]];
    for (std::size_t j = 0; j < k; ++j) {
      choice.expert[row * k + j] = order[j];
      choice.weight[row * k + j] =
          (options.normalize_top_k ? probability[order[j]] / sum : probability[order[j]]) *
          options.scale;
    }
  }
}

}  // namespace gracemoe
