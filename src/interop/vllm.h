// vLLM's forms, all of them proposals (pull requests 41141 and 49572, issue 34297). MoE layers are
// numbered from 0; slots are dealt to the ranks in order.
//   mapping       one line {"record_type": "eplb_initial_mapping", "version": 1,
//                 "num_redundant_experts": R, "num_slots": S, "initial_global_assignments":
//                 {"0": [expert] * S, ...}}
//   loads         lines: {"record_type": "eplb_load_meta", "model", "num_ranks", "num_nodes", ...},
//                 then {"record_type": "eplb_load_stats", "step", "expert_load": [[count] * S] * L,
//                 "p2l_map": [[expert] * S] * L}; counts are of slots
//   expert map    [[expert] * S] * L, or [expert] * S for all layers
//   expert ranks  {"expert_to_ep_rank": [rank] * experts}: all layers alike, no copies
#pragma once
#include <string>

#include "interop/loads.h"
#include "interop/placement.h"

namespace gracemoe {

// Errors (kInput) of the readers name `name`, the line and the key. `text` is a whole file.
SlotPlacement read_vllm_mapping(const std::string& text, const std::string& name,
                                const PlacementHints& hints);
// Sums the steps; lines of other kinds are skipped.
Loads read_vllm_loads(const std::string& text, const std::string& name);
// A file with one map for all layers needs hints.layers: Error (kUsage) without.
SlotPlacement read_vllm_expert_map(const std::string& text, const std::string& name,
                                   const PlacementHints& hints);
// As above; its ranks may differ in size.
SlotPlacement read_vllm_expert_ranks(const std::string& text, const std::string& name,
                                     const PlacementHints& hints);

// The placements have the same number of slots everywhere.
std::string vllm_mapping_text(const SlotPlacement& placement);
std::string vllm_expert_map_text(const SlotPlacement& placement);
// Each expert on the device of its lowest slot. Errors (kInput): layers that differ, or devices
// with different numbers of such experts, which the format cannot say.
std::string vllm_expert_ranks_text(const SlotPlacement& placement, const std::string& name);
// One step with all loads, taken in experts' order: a placement without copies.
std::string vllm_loads_text(const RoutingStatistics& statistics, int nodes, int devices);

}  // namespace gracemoe
