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

// Whether a tensor belongs to one expert of a mixture (not to the shared ones).
bool is_expert_tensor(const std::string& name);

// The router's tensor of one transformer layer.
std::string router_tensor(int layer);

}  // namespace gracemoe
