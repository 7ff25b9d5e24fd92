// One function an architecture, each in a file of its own: which tensors make up the model, and how
// its blocks are set.
#pragma once
#include "engine/transformer.h"

namespace gracemoe {

TransformerParts load_olmoe(const ModelConfig& config, Checkpoint& checkpoint,
                            const Backend& backend, const ModelPlacement& placement);

}  // namespace gracemoe
