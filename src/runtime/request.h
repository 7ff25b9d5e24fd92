// What is asked of the model, and what comes back.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "engine/sampler.h"

namespace gracemoe {

struct Request {
  std::uint64_t id = 0;     // 0 .. requests-1, the same on every rank
  std::vector<int> prompt;  // token ids, at least one
  int max_new_tokens = 0;   // 0: the prompt is only run through the model
  SamplingOptions sampling = {};
  // What its draws depend on beside seed and position: its number, so that requests under one seed
  // differ, or the number of the sample where the request has a seed of its own.
  std::uint64_t stream = 0;
  std::vector<std::string> stop = {};  // texts that end the answer; cut off, with what follows
  int logprobs = -1;  // that many of the likeliest tokens beside each chosen one; -1: none at all
};

enum class FinishReason { kLength, kStop };  // kStop: an end-of-text token or a stop text came

struct Completion {
  std::uint64_t id = 0;
  std::vector<int> tokens;  // generated ids; an end-of-text token is not among them
  std::vector<std::uint64_t>
      logit_hashes;  // a hash of every sampled row's logits, bit for bit; empty unless asked for
  std::vector<TokenLogprobs> logprobs;  // of each token; empty unless asked for
  FinishReason reason = FinishReason::kLength;
};

// Errors (kInput), naming the request: an empty prompt, a token id outside the vocabulary, more
// positions than the model has.
void check_requests(const std::vector<Request>& requests, int vocab, int max_positions);

}  // namespace gracemoe
