// Pieces that the architectures' loaders share.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "model/checkpoint.h"

namespace gracemoe {

WeightView weight(Checkpoint& checkpoint, const std::string& name, int out, int in);
std::unique_ptr<Linear> load_linear(Checkpoint& checkpoint, const Backend& backend,
                                    const std::string& name, int out, int in);
std::vector<bf16> load_vector(Checkpoint& checkpoint, const std::string& name, int size);
// prefix + "<expert>.{gate,up,down}_proj.weight" for each of `ids`.
std::unique_ptr<ExpertGroup> load_experts(Checkpoint& checkpoint, const Backend& backend,
                                          const std::string& prefix, const std::vector<int>& ids,
                                          int width, int hidden);

}  // namespace gracemoe
