// What follows attention in a layer: a mixture of experts here, a dense MLP in other models' first
// layers.
#pragma once
#include <span>

#include "engine/step_batch.h"

namespace gracemoe {

class FeedForwardBlock {
 public:
  virtual ~FeedForwardBlock() = default;
  // residual (what `out` will be added to), x (normalised), out: [rows, hidden]. Collective over
  // all devices if the block has experts.
  virtual void forward(const StepBatch& batch, std::span<const float> residual,
                       std::span<const float> x, std::span<float> out) = 0;
};

}  // namespace gracemoe
