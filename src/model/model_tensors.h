// Which tensors a model is made of, by their names in released folders.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace gracemoe {

struct ModelTensor {
  std::string name;
  std::vector<std::int64_t> shape;
  std::int64_t bytes() const;  // as bf16
};

// Layer by layer: what loading takes on all devices together, and nothing else.
std::vector<ModelTensor> model_tensors(const ModelConfig& config);

}  // namespace gracemoe
