#include "engine/feed_forward.h"

#include <algorithm>

namespace gracemoe {

void FeedForwardBlock::begin(int lane, const StepBatch& batch, std::span<const float> residual,
                             std::span<const float> x) {
  const auto at = static_cast<std::size_t>(lane);
  begun_.resize(std::max(begun_.size(), at + 1));
  begun_[at] = {&batch, residual, x};
}

void FeedForwardBlock::compute(int) {}

void FeedForwardBlock::finish(int lane, std::span<float> out) {
  const Begun& begun = begun_[static_cast<std::size_t>(lane)];
  forward(*begun.batch, begun.residual, begun.x, out);
}

}  // namespace gracemoe
