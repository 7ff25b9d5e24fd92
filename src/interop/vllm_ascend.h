// vllm-ascend's expert_map_path: {"moe_layer_count": L, "layer_list": [{"layer_id": l,
// "device_count": D, "device_list": [{"device_id": d, "device_expert": [expert, ...]}, ...]},
// ...]}. MoE layers from 0; the device_expert lists are equally long.
#pragma once
#include <string>

#include "interop/placement.h"

namespace gracemoe {

// Errors (kInput) name `name`, the layer and the device. `text` is a whole file.
SlotPlacement read_vllm_ascend(const std::string& text, const std::string& name,
                               const PlacementHints& hints);
// Devices known, the same number of slots everywhere.
std::string vllm_ascend_text(const SlotPlacement& placement);

}  // namespace gracemoe
