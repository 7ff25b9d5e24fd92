// From logits to the next token. The draw is a hash of (seed, request, position): the same whatever
// the batch, ranks and threads.
#pragma once
#include <cstdint>
#include <span>

namespace gracemoe {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy
  int top_k = 0;           // keep the k likeliest tokens; 0: all
  double top_p = 1;        // keep the likeliest tokens that together reach this probability
  std::uint64_t seed = 0;
};
// Error (kUsage) on a value out of range.
void check_sampling(const SamplingOptions& options);

// logits [vocab]: only ids the tokenizer knows, padded rows of the head left out by the caller. Of
// equal logits the lower id is taken first. Errors (kInput): a logit that is not a number.
int sample(const SamplingOptions& options, std::span<const float> logits, std::uint64_t request,
           std::uint64_t position);

}  // namespace gracemoe
