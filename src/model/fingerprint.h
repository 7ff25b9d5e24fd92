// What ties a routing trace or a plan to the model it was made for.
#pragma once
#include <string>

#include "model/checkpoint.h"
#include "model/model_config.h"

namespace gracemoe {

// 16 hexadecimal digits over the architecture's name, the fields of `config` that give shapes and
// routing (vocab, hidden, layers, heads, kv_heads, head_dim, experts, top_k, expert_width,
// normalize_top_k, moe_layers; but for OLMoE also routed_scale, groups, shared_width) and the bytes
// of every MoE layer's router (model.layers.L.mlp.gate.weight, [experts, hidden]). The routers
// decide which expert a token goes to, so a fine-tune that routes otherwise differs, while
// re-sharding the files or editing the other keys of config.json changes nothing. Every rank loads
// all routers anyway: reading them here adds nothing to Checkpoint::bytes_used of a whole load.
// Errors (kInput): as Checkpoint::tensor.
std::string fingerprint(Checkpoint& checkpoint, const ModelConfig& config);

// What the ranks of a run compare: 16 hexadecimal digits over all of `config` that changes a
// result, names and shapes of all tensors, and the bytes of those that every rank loads (all but
// the experts: each rank reads only its own). Cost: reads these tensors once, some GB a second.
std::string shared_digest(const Checkpoint& checkpoint, const ModelConfig& config);

// The router's tensor of one transformer layer.
std::string router_tensor(int layer);

}  // namespace gracemoe
