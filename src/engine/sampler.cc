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

void check_difference(const char* name, double value) {
  if (!(value >= -100 && value <= 100))
    fail_usage({name, std::to_string(value), "-100 to 100; 0 for none", ""});
}

}  // namespace

void check_sampling(const SamplingOptions& options) {
  if (!(options.temperature >= 0) || !std::isfinite(options.temperature))
    fail_usage({"temperature", std::to_string(options.temperature), "0 (greedy) or more", ""});
  if (options.top_k < 0)
    fail_usage({"top-k", std::to_string(options.top_k), "0 (all tokens) or more", ""});
  if (!(options.top_p > 0 && options.top_p <= 1))
    fail_usage({"top-p", std::to_string(options.top_p), "above 0, at most 1", ""});
  if (!(options.min_p >= 0 && options.min_p <= 1))
    fail_usage({"min-p", std::to_string(options.min_p), "0 to 1", ""});
  if (!(options.repetition_penalty > 0) || !std::isfinite(options.repetition_penalty))
    fail_usage({"repetition-penalty", std::to_string(options.repetition_penalty),
                "above 0; 1 for none", ""});
  check_difference("presence-penalty", options.presence_penalty);
  check_difference("frequency-penalty", options.frequency_penalty);
}

std::span<const float> penalise(const SamplingOptions& options, std::span<const float> logits,
                                std::span<const int> prompt, std::span<const int> answer,
                                std::vector<float>& penalised) {
  if (!options.penalises()) return logits;
  penalised.assign(logits.begin(), logits.end());
  std::vector<std::pair<bool, int>> said(logits.size());  // at all, and how often in the answer
  for (const int id : prompt)
    if (static_cast<std::size_t>(id) < said.size()) said[static_cast<std::size_t>(id)].first = true;
  for (const int id : answer)
    if (static_cast<std::size_t>(id) < said.size()) {
      said[static_cast<std::size_t>(id)].first = true;
      ++said[static_cast<std::size_t>(id)].second;
    }
  for (std::size_t i = 0; i < said.size(); ++i) {
    if (!said[i].first) continue;
    double logit = penalised[i];
    logit = logit > 0 ? logit / options.repetition_penalty : logit * options.repetition_penalty;
    if (said[i].second > 0)
      logit -= options.presence_penalty + options.frequency_penalty * said[i].second;
    penalised[i] = static_cast<float>(logit);
  }
  return penalised;
}

int sample(const SamplingOptions& options, std::span<const float> logits, std::uint64_t stream,
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
  auto nucleus =
      std::min(keep - 1,
               static_cast<std::size_t>(
                   std::lower_bound(mass.begin(), mass.end(), options.top_p * sum) - mass.begin()));
  // mass[0] is the likeliest's: 1, as all are relative to it.
  while (nucleus > 0 && mass[nucleus] - mass[nucleus - 1] < options.min_p) --nucleus;
  const double draw =
      unit_interval(hash_combine(hash_combine(options.seed, stream), position)) * mass[nucleus];
  const auto at =
      std::upper_bound(mass.begin(), mass.begin() + static_cast<std::ptrdiff_t>(nucleus), draw) -
      mass.begin();
  return ids[static_cast<std::size_t>(at)];
}

TokenLogprobs logprobs_of(std::span<const float> logits, int chosen, int top) {
  const double highest = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - highest);
  const auto logprob = [&](int id) {
    return static_cast<double>(logits[static_cast<std::size_t>(id)]) - highest - std::log(sum);
  };
  TokenLogprobs result{.chosen = logprob(chosen)};
  result.ids =
      likeliest(logits, std::min(logits.size(), static_cast<std::size_t>(std::max(0, top))));
  for (const int id : result.ids) result.logprob.push_back(logprob(id));
  return result;
}

}  // namespace gracemoe
