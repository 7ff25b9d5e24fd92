#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/hash.h"

namespace gracemoe {
namespace {

int argmax(std::span<const float> logits) {
  return static_cast<int>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

// Ids by falling logit; only the first `count` need be in order.
std::vector<int> likeliest(std::span<const float> logits, std::size_t count) {
  std::vector<int> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  const auto before = [&](int a, int b) {
    const float x = logits[static_cast<std::size_t>(a)], y = logits[static_cast<std::size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(ids.begin(), ids.begin() + static_cast<std::ptrdiff_t>(count), ids.end(),
                    before);
  ids.resize(count);
  return ids;
}

}  // namespace

void check_sampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    fail_usage({"temperature", std::to_string(options.temperature), "0 (greedy) or more", ""});
  if (options.top_k < 0)
    fail_usage({"top-k", std::to_string(options.top_k), "0 (all tokens) or more", ""});
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail_usage({"top-p", std::to_string(options.top_p), "above 0, at most 1", ""});
}

int sample(const SamplingOptions& options, std::span<const float> logits, std::uint64_t request,
           std::uint64_t position) {
  GM_CHECK(!logits.empty(), "no logits to sample from");
  if (std::any_of(logits.begin(), logits.end(), [](float x) { return std::isnan(x); }))
    fail_input({"logits", "a value that is not a number", "numbers",
                "the checkpoint's weights seem damaged"});
  if (options.temperature == 0) return argmax(logits);
  const std::size_t keep = options.top_k > 0
                               ? std::min(static_cast<std::size_t>(options.top_k), logits.size())
                               : logits.size();
  const std::vector<int> ids = likeliest(logits, keep);
  std::vector<double> mass(keep);  // running sums of unnormalised probabilities
  double sum = 0;
  const double top = logits[static_cast<std::size_t>(ids[0])];
  for (std::size_t i = 0; i < keep; ++i)
    mass[i] = sum +=
        std::exp((static_cast<double>(logits[static_cast<std::size_t>(ids[i])]) - top) /
                 options.temperature);
  const auto nucleus =
      std::min(keep - 1,
               static_cast<std::size_t>(
                   std::lower_bound(mass.begin(), mass.end(), options.top_p * sum) - mass.begin()));
  const double draw =
      unit_interval(hash_combine(hash_combine(options.seed, request), position)) * mass[nucleus];
  const auto at =
      std::upper_bound(mass.begin(), mass.begin() + static_cast<std::ptrdiff_t>(nucleus), draw) -
      mass.begin();
  return ids[static_cast<std::size_t>(at)];
}

}  // namespace gracemoe
