#include "onednn_product.h"

namespace gracemoe {

std::function<void()> onednn_product(WeightView, std::span<const float>, int, std::span<float>) {
  return {};
}

}  // namespace gracemoe
