#include <set>

#include "model/config_parts.h"

namespace gracemoe {
namespace {

// Layers that are dense whatever decoder_sparse_step says.
std::set<std::int64_t> read_dense_layers(const JsonObject& json, int layers) {
  constexpr const char* kKey = "mlp_only_layers";
  std::set<std::int64_t> dense;
  if (!json.has(kKey)) return dense;
  for (const Json& entry : json.array(kKey)) {
    const Json one{{kKey, entry}};
    dense.insert(JsonObject(one, json.name()).integer(kKey, 0, std::int64_t{layers} - 1));
  }
  return dense;
}

}  // namespace

void read_qwen3_moe_config(const JsonObject& json, ModelConfig& config) {
  read_common(json, 1e-6, config);
  refuse_false(json, "use_qk_norm");
  refuse_above_zero(json, "shared_expert_intermediate_size");
  refuse_above_zero(json, "n_shared_experts");
  refuse_scaling(read_positions(json, config));
  if (!json.has("head_dim") && config.hidden % config.heads != 0) {
    inconsistent(
        json, "hidden_size", config.hidden,
        "a multiple of num_attention_heads (" + std::to_string(config.heads) + "), or a head_dim");
  }
  config.head_dim =
      static_cast<int>(json.integer_or("head_dim", config.hidden / config.heads, 1, kMaxCount));
  check_heads(json, config);
  read_expert_counts(json, "num_experts", config);
  config.expert_width = config_integer(json, "moe_intermediate_size", kMaxWidth);
  const std::int64_t step = json.integer_or("decoder_sparse_step", 1, 1, kMaxCount);
  const std::set<std::int64_t> dense = read_dense_layers(json, config.layers);
  for (int layer = 0; layer < config.layers; ++layer)
    if ((layer + 1) % step == 0 && !dense.contains(layer)) config.moe_layers.push_back(layer);
  check_moe_layers(json, "mlp_only_layers", config);
  if (static_cast<int>(config.moe_layers.size()) < config.layers)
    config.dense_width = config_integer(json, "intermediate_size", kMaxWidth);
}

}  // namespace gracemoe
