// TensorRT-LLM's forms. Layers go by their number among all hidden layers.
//   moe_config.load_balancer, YAML: num_slots; layer_updates_per_iter (0: static);
//   initial_global_assignments: {layer: [expert] * num_slots}; no other key.
//   EXPERT_STATISTIC_PATH, a folder: meta_info.json {num_experts, num_experts_per_token} and
//   rank<r>.safetensors with tensors "<iteration>_<layer>" I64 [experts]; the ranks' sum counts.
// The only place that knows yaml-cpp.
#pragma once
#include <filesystem>
#include <string>

#include "interop/loads.h"
#include "interop/placement.h"

namespace gracemoe {

// Errors (kInput) name `name` and the key. `text` is a whole file. No limit on aliases is needed:
// a list may serve many layers, which costs what those layers' slots cost, and there are at most
// kMaxHiddenLayers.
SlotPlacement read_trtllm_placement(const std::string& text, const std::string& name,
                                    const PlacementHints& hints);
std::string trtllm_placement_text(const SlotPlacement& placement, const LayerNumbers& numbers);

Loads read_trtllm_statistics(const std::filesystem::path& folder);
// Makes the folder if it is not there; one iteration, 0, of one rank, 0. Error (kInput) if a layer
// number or top_k is unknown; kOutput where it cannot be written.
void write_trtllm_statistics(const std::filesystem::path& folder,
                             const RoutingStatistics& statistics, const LayerNumbers& numbers);

}  // namespace gracemoe
