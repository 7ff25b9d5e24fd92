// Weights as the kernels take them: bf16, whatever floating-point type the file has.
//
// Nothing is lost unasked. A bf16 tensor is used as it lies in the file. Every value of a float32
// or float16 tensor must be one that bf16 holds (a bf16 model saved in a wider type), or it is an
// Error - unless rounding was asked for: then values go to the nearest bf16, ties to even.
#pragma once
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/bf16.h"
#include "base/safetensors.h"

namespace gracemoe {

enum class WeightRounding { kRefuse, kNearest };

struct Bf16Weights {
  std::span<const bf16> data;
  // Of `data`, where it was converted; null: `data` is a part of the mapped file.
  std::shared_ptr<const std::vector<bf16>> converted;
};

// A tensor of BF16, F16 or F32. Errors (kInput): a value that bf16 does not hold, and no rounding;
// `name` says where.
Bf16Weights bf16_weights(const TensorView& tensor, WeightRounding rounding,
                         const std::string& name);

float half_to_float(std::uint16_t bits);

}  // namespace gracemoe
