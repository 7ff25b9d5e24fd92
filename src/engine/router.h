// The gate's choice: softmax over all experts, the k largest - of all, or of the best groups of
// experts - as the model's config wants them weighted.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace gracemoe {

struct RouterOptions {
  int experts = 0;
  int top_k = 0;
  bool normalize_top_k = false;  // divide the k probabilities by their sum
  float scale = 1;               // multiplies the weights
  // The experts form `groups` equal ranges of ids; only those of the chosen_groups with the highest
  // single probability (of equals the lower group) may be taken.
  int groups = 1, chosen_groups = 1;
  int layer = -1;  // of the transformer, for messages; -1: not known
  // What a message says of weights that gave logits which are not finite; empty: nothing is known.
  std::function<std::string()> blame = {};
};
RouterOptions router_options(const ModelConfig& config);

struct RouterChoice {
  std::vector<std::uint16_t>
      expert;                 // [rows, top_k], falling probability; of equals the lower id first
  std::vector<float> weight;  // [rows, top_k]
};

// logits [rows, experts]. Errors (kInput): a logit that is not finite (a damaged checkpoint).
void choose_experts(const RouterOptions& options, std::span<const float> logits, int rows,
                    RouterChoice& choice);

}  // namespace gracemoe
