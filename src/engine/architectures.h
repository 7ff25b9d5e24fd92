// One function an architecture, each in a file of its own: which tensors make up the model, and how
// its blocks are set.
#pragma once
#include "engine/loading.h"

namespace gracemoe {

TransformerParts load_olmoe(ModelLoader& load);
TransformerParts load_qwen3_moe(ModelLoader& load);
TransformerParts load_deepseek_v2(ModelLoader& load);

}  // namespace gracemoe
