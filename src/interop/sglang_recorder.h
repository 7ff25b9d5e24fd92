// The dumps of SGLang's expert distribution recorder (torch_file.h), by its modes:
//   stat, stat_approx  {rank, logical_count [buffers, hidden layers, experts], ...}: loads
//   per_pass           {records, last_physical_to_logical_map [hidden layers, slots]}, a record:
//                      forward_pass_id, rank, gatherer_key, global_physical_count [layers, slots]
//   per_token          the same, a record also has input_ids, positions, extend_seq_lens,
//                      topk_ids_of_layer [layers, tokens, width] (slots; -1 pads)
// Slots become experts through the map, which is that of the dump: after a rebalancing within the
// recording, earlier records are folded wrongly, and no file says so.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "interop/loads.h"
#include "interop/torch_file.h"

namespace gracemoe {

// What the first file holds. Error (kInput) if it is none of the recorder's.
bool recorder_has_tokens(std::span<const TorchFile> files);

// The sum over files, buffers, ranks and passes. Errors (kInput) name the file and the record.
Loads read_recorder_loads(std::span<const TorchFile> files, const LayerChoice& choice);

struct RecorderTokens {
  Tokens tokens;
  std::int64_t repeated = 0;  // tokens that another rank recorded too
  std::int64_t pads = 0;      // tokens without any expert
};
// The tokens of all files' records, by (forward_pass_id, rank, gatherer_key). Ranks of one tensor-
// parallel group record the same tokens: a record equal to another rank's of the same pass is taken
// once. Sequences: the parts of a pass that extend_seq_lens names (in decoding, each token); a part
// continues the sequence of its rank that last ended one position before it, if there is one.
// num_experts 0: the largest expert of the map + 1. Errors (kInput): a record twice; ids outside of
// the map; tokens with different numbers of experts.
RecorderTokens read_recorder_tokens(std::span<const TorchFile> files, const LayerChoice& choice,
                                    int num_experts);

}  // namespace gracemoe
