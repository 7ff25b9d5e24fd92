// SGLang's --init-expert-location as JSON: a placement, {"physical_to_logical_map":
// [[expert] * slots] * hidden layers}, or loads from which it plans at its start, {"logical_count":
// [[count] * experts] * hidden layers}, or that with a list of batches around. All hidden layers
// are listed, dense ones too (their rows mean nothing). Its recorder's dumps: sglang_recorder.h.
#pragma once
#include <string>

#include "interop/loads.h"
#include "interop/placement.h"

namespace gracemoe {

// Errors (kInput) of the readers name `name` and the key. `text` is a whole file.
SlotPlacement read_sglang_placement(const std::string& text, const std::string& name,
                                    const PlacementHints& hints);
Loads read_sglang_counts(const std::string& text, const std::string& name,
                         const LayerChoice& choice);

// `numbers` place the MoE layers among the hidden ones (numbers_to_write). A dense layer's row is
// slot s % experts, and 0 for counts. The placement has the same number of slots everywhere.
std::string sglang_placement_text(const SlotPlacement& placement, const LayerNumbers& numbers);
std::string sglang_counts_text(const RoutingStatistics& statistics, const LayerNumbers& numbers);

}  // namespace gracemoe
