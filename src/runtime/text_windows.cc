#include "runtime/text_windows.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "routing/homes.h"

namespace gracemoe {
namespace {

// -log softmax(logits)[target], in double.
double negative_log_likelihood(std::span<const float> logits, int target) {
  const double top = *std::max_element(logits.begin(), logits.end());
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - top);
  return top + std::log(sum) - static_cast<double>(logits[static_cast<std::size_t>(target)]);
}

Request slice(const std::vector<int>& tokens, std::size_t begin, std::size_t count,
              std::uint64_t id, int max_new_tokens) {
  const auto from = tokens.begin() + static_cast<std::ptrdiff_t>(begin);
  return {id, {from, from + static_cast<std::ptrdiff_t>(count)}, max_new_tokens};
}

}  // namespace

std::vector<Request> cut_windows(const std::vector<int>& tokens, int window, std::uint64_t first_id,
                                 std::int64_t max_tokens) {
  const std::size_t total = max_tokens > 0
                                ? std::min(tokens.size(), static_cast<std::size_t>(max_tokens))
                                : tokens.size();
  std::vector<Request> windows;
  for (std::size_t begin = 0; begin < total; begin += static_cast<std::size_t>(window))
    windows.push_back(slice(tokens, begin,
                            std::min(static_cast<std::size_t>(window), total - begin),
                            first_id + windows.size(), 0));
  return windows;
}

void check_windows(const std::vector<Request>& windows, int window, const ModelConfig& config) {
  if (window > config.max_positions)
    fail_usage({"window", std::to_string(window),
                "at most " + std::to_string(config.max_positions) + ", the model's positions",
                "give a shorter --window"});
  check_requests(windows, config.vocab, config.max_positions);
}

std::vector<Request> cut_prompts(const std::vector<std::vector<int>>& texts, int count, int length,
                                 int max_new_tokens) {
  GM_CHECK(!texts.empty() && count > 0 && length > 0, "prompts need a text, a count and a length");
  std::vector<Request> prompts;
  const auto per_text = (static_cast<std::size_t>(count) + texts.size() - 1) / texts.size();
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const std::vector<int>& text = texts[i % texts.size()];
    const auto size = static_cast<std::size_t>(length);
    if (text.size() < size)
      fail_usage({"prompt length", std::to_string(length) + " tokens",
                  "at most " + std::to_string(text.size()) + ", the length of the shortest text",
                  "ask for shorter prompts, or give longer texts"});
    const std::size_t begin =
        (text.size() - size) * (i / texts.size()) / std::max<std::size_t>(1, per_text);
    prompts.push_back(slice(text, begin, size, i, max_new_tokens));
  }
  return prompts;
}

std::vector<Request> requests_of(const std::vector<Request>& all, int rank, int ranks) {
  std::vector<std::int64_t> tokens;
  tokens.reserve(all.size());
  for (const Request& request : all)  // the last token sampled is not run through the model
    tokens.push_back(static_cast<std::int64_t>(request.prompt.size()) +
                     std::max(0, request.max_new_tokens - 1));
  const std::vector<int> homes = deal_homes(tokens, ranks);
  std::vector<Request> mine;
  for (std::size_t i = 0; i < all.size(); ++i)
    if (homes[i] == rank) mine.push_back(all[i]);
  return mine;
}

Perplexity measure_perplexity(Deployment& deployment, const std::vector<int>& tokens, int window,
                              const RunOptions& options) {
  Transport& transport = deployment.transport();
  std::vector<Request> windows = cut_windows(tokens, window, 0, 0);
  if (!windows.empty() && static_cast<int>(windows.back().prompt.size()) < window)
    windows.pop_back();
  const std::vector<Request> mine = requests_of(windows, transport.rank(), transport.size());
  std::array<double, 2> sums{0, 0};  // negative log likelihood, tokens scored
  RunOptions scoring = options;
  scoring.score = [&](const Request& request, int position, std::span<const float> logits) {
    const auto next = static_cast<std::size_t>(position) + 1;
    if (next >= request.prompt.size()) return;
    sums[0] += negative_log_likelihood(logits, request.prompt[next]);
    sums[1] += 1;
  };
  scoring.evened = deployment.evened();
  RunTimes times;
  run_requests(deployment.model(), transport, mine, scoring, times);
  transport.sum(std::span<double>(sums));
  return {static_cast<std::int64_t>(tokens.size()), static_cast<std::int64_t>(sums[1]),
          sums[1] > 0 ? std::exp(sums[0] / sums[1]) : 0.0};
}

}  // namespace gracemoe
