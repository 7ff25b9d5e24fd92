// Shapes of published models, for benchmarks without their weights.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

#include "model/model_config.h"

namespace gracemoe {

std::vector<std::string> preset_names();
// The config of such a model. Error (kUsage) on a name that is not among preset_names().
ModelConfig preset_config(const std::string& name);
// The model cut after its first `count` layers. Error (kUsage): more than it has.
ModelConfig first_layers(ModelConfig config, int count);
// Elements of its largest tensor: the embedding, or an expert's or attention's matrix.
std::size_t largest_tensor(const ModelConfig& config);

}  // namespace gracemoe
