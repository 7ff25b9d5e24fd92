#include <numeric>

#include "model/config_parts.h"

namespace gracemoe {

void read_olmoe_config(const JsonObject& json, ModelConfig& config) {
  read_common(json, 1e-5, config);
  refuse_scaling(read_positions(json, config));
  if (config.hidden % config.heads != 0) {
    inconsistent(json, "hidden_size", config.hidden,
                 "a multiple of num_attention_heads (" + std::to_string(config.heads) + ")");
  }
  config.head_dim = config.hidden / config.heads;
  if (json.integer_or("head_dim", config.head_dim, 1, kMaxCount) != config.head_dim)
    unsupported(json, "head_dim", show_json(json.raw("head_dim")),
                "hidden_size / num_attention_heads (" + std::to_string(config.head_dim) + ")");
  check_heads(json, config);
  refuse_present(json, "clip_qkv");
  refuse_false(json, "use_qk_norm");
  refuse_above_zero(json, "shared_expert_intermediate_size");
  refuse_above_zero(json, "n_shared_experts");
  read_expert_counts(json, "num_experts", config);
  config.expert_width = config_integer(json, "intermediate_size", kMaxWidth);
  config.moe_layers.resize(static_cast<std::size_t>(config.layers));
  std::iota(config.moe_layers.begin(), config.moe_layers.end(), 0);
}

}  // namespace gracemoe
