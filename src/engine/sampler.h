// From logits to the next token. The draw is a hash of (seed, request, position): the same whatever
// the batch, ranks and threads.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace gracemoe {

struct SamplingOptions {
  double temperature = 0;  // 0: greedy
  int top_k = 0;           // keep the k likeliest tokens; 0: all
  double top_p = 1;        // keep the likeliest tokens that together reach this probability
  std::uint64_t seed = 0;
  double min_p = 0;               // keep tokens at least so likely as this share of the likeliest
  double repetition_penalty = 1;  // logits of tokens in prompt or answer: divided by it where
                                  // positive, else multiplied
  double presence_penalty = 0;    // taken off the logits of tokens in the answer
  double frequency_penalty = 0;   // so often as the token stands there
  bool penalises() const {
    return repetition_penalty != 1 || presence_penalty != 0 || frequency_penalty != 0;
  }
};
// Error (kUsage) on a value out of range.
void check_sampling(const SamplingOptions& options);

// The logits with the options' penalties for what has been said: prompt and answer as token ids,
// those outside of the logits left out. The caller's buffer `penalised` holds them.
std::span<const float> penalise(const SamplingOptions& options, std::span<const float> logits,
                                std::span<const int> prompt, std::span<const int> answer,
                                std::vector<float>& penalised);

// logits [vocab]: only ids the tokenizer knows, padded rows of the head left out by the caller. Of
// equal logits the lower id is taken first. Top-k first, then top-p of what is left, then min-p.
// `stream` is the request's number, or the sample's where the request has a seed of its own.
// Errors (kInput): a logit that is not a number.
int sample(const SamplingOptions& options, std::span<const float> logits, std::uint64_t stream,
           std::uint64_t position);

constexpr int kMaxLogprobs = 100;

// Natural logarithms of probabilities under the plain softmax, before temperature and penalties.
struct TokenLogprobs {
  double chosen = 0;
  std::vector<int> ids = {};         // the likeliest, falling; of equal ones the lower id first
  std::vector<double> logprob = {};  // of each
};
TokenLogprobs logprobs_of(std::span<const float> logits, int chosen, int top);

}  // namespace gracemoe
