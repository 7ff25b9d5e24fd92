// oneDNN's bf16 product, to compare with.
#pragma once
#include <functional>
#include <span>

#include "compute/backend.h"

namespace gracemoe {

// A function that computes y [rows, out] = x [rows, in] * W^T on one thread, its weights in
// oneDNN's own layout, the primitive made beforehand, x rounded to bf16 on every call.
// All arguments must outlive it.
std::function<void()> onednn_product(WeightView weight, std::span<const float> x, int rows,
                                     std::span<float> y);

}  // namespace gracemoe
