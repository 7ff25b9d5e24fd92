// What follows attention in a layer: a mixture of experts here, a dense MLP in other models' first
// layers.
#pragma once
#include <span>
#include <vector>

#include "engine/step_batch.h"

namespace gracemoe {

class FeedForwardBlock {
 public:
  virtual ~FeedForwardBlock() = default;
  // residual (what `out` will be added to), x (normalised), out: [rows, hidden]. Collective over
  // all devices if the block has experts.
  virtual void forward(const StepBatch& batch, std::span<const float> residual,
                       std::span<const float> x, std::span<float> out) = 0;

  // The same in three steps, for each lane (micro-batch) of a step: begin() all lanes, compute()
  // all, finish() all, in the same order on every device. What begin() was given stays as it is
  // until finish(). Here: a block whose rows travel nowhere.
  virtual void begin(int lane, const StepBatch& batch, std::span<const float> residual,
                     std::span<const float> x);
  virtual void compute(int lane);
  virtual void finish(int lane, std::span<float> out);

 private:
  struct Begun {
    const StepBatch* batch;
    std::span<const float> residual, x;
  };
  std::vector<Begun> begun_;  // [lanes]
};

}  // namespace gracemoe
