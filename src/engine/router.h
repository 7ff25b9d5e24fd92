// The gate's choice: softmax over all experts, the k largest, as the model's config wants them
// weighted.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace gracemoe {

struct RouterOptions {
  int experts = 0;
  int top_k = 0;
  bool normalize_top_k = false;  // divide the k probabilities by their sum
};

struct RouterChoice {
  std::vector<std::uint16_t>
      expert;                 // [rows, top_k], falling probability; of equals the lower id first
  std::vector<float> weight;  // [rows, top_k]
};

// logits [rows, experts]. Errors (kInput): a logit that is not a number (a damaged checkpoint).
void choose_experts(const RouterOptions& options, std::span<const float> logits, int rows,
                    RouterChoice& choice);

}  // namespace gracemoe
