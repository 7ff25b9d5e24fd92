#include "model/config_parts.h"

namespace gracemoe {
namespace {

[[noreturn]] void out_of_range(const JsonObject& json, const std::string& key, double value,
                               const std::string& wanted) {
  fail_input(
      {json.key_name(key), std::to_string(value), wanted, "check that the file is as published"});
}

double positive(const JsonObject& json, const std::string& key, double fallback) {
  const double value = json.number_or(key, fallback);
  if (!(value > 0)) out_of_range(json, key, value, "a number above 0");
  return value;
}

void read_scaling(const RopeScaling& scaling, ModelConfig& config) {
  if (scaling.type == "default") return;
  const JsonObject& json = *scaling.object;
  if (scaling.type != "yarn")
    unsupported(json, scaling.type_key, "'" + scaling.type + "'", "'yarn' or 'default'");
  refuse_present(json, "attention_factor");
  refuse_false(json, "truncate");
  YarnConfig yarn;
  yarn.factor = positive(json, "factor", 0);
  yarn.beta_fast = positive(json, "beta_fast", 32);
  yarn.beta_slow = positive(json, "beta_slow", 1);
  yarn.mscale = positive(json, "mscale", 1);
  yarn.mscale_all_dim = json.number_or("mscale_all_dim", 0);
  yarn.original_positions =
      static_cast<double>(json.integer("original_max_position_embeddings", 1, 1 << 30));
  if (!(yarn.mscale_all_dim >= 0))
    out_of_range(json, "mscale_all_dim", yarn.mscale_all_dim, "0 or more");
  if (!(config.rope_theta > 1)) out_of_range(json, "rope_theta", config.rope_theta, "above 1");
  config.yarn = yarn;
}

void read_attention(const JsonObject& json, ModelConfig& config) {
  LatentAttentionConfig& latent = config.latent;
  latent.query_rank = static_cast<int>(json.integer_or("q_lora_rank", 0, 0, kMaxWidth));
  latent.kv_rank = config_integer(json, "kv_lora_rank", kMaxCount);
  latent.nope_dim = config_integer(json, "qk_nope_head_dim", kMaxCount);
  latent.rope_dim = config_integer(json, "qk_rope_head_dim", kMaxCount);
  latent.value_dim = config_integer(json, "v_head_dim", kMaxCount);
  config.head_dim = latent.nope_dim + latent.rope_dim;
  if (latent.rope_dim % 2 != 0)
    inconsistent(json, "qk_rope_head_dim", latent.rope_dim,
                 "an even width (rotary positions turn pairs)");
}

// How the gate chooses: softmax over all experts, then the best, perhaps of the best groups only.
void read_gate(const JsonObject& json, ModelConfig& config) {
  const std::string scoring = json.text_or("scoring_func", "softmax");
  if (scoring != "softmax") unsupported(json, "scoring_func", "'" + scoring + "'", "'softmax'");
  config.routed_scale = positive(json, "routed_scaling_factor", 1);
  // The published code leaves the factor out where weights are normalised; others multiply.
  if (config.normalize_top_k && config.routed_scale != 1)
    unsupported(json, "routed_scaling_factor", std::to_string(config.routed_scale),
                "1 where norm_topk_prob is true (implementations differ)");
  const std::string method = json.text_or("topk_method", "greedy");
  if (method == "greedy") return;
  if (method != "group_limited_greedy")
    unsupported(json, "topk_method", "'" + method + "'", "'greedy' or 'group_limited_greedy'");
  config.expert_groups = config_integer(json, "n_group", kMaxCount);
  config.chosen_groups = config_integer(json, "topk_group", kMaxCount);
  if (config.experts % config.expert_groups != 0)
    inconsistent(json, "n_group", config.expert_groups,
                 "a divisor of n_routed_experts (" + std::to_string(config.experts) + ")");
  if (config.chosen_groups > config.expert_groups)
    inconsistent(json, "topk_group", config.chosen_groups,
                 "at most n_group (" + std::to_string(config.expert_groups) + ")");
  const int eligible = config.experts / config.expert_groups * config.chosen_groups;
  if (config.top_k > eligible)
    inconsistent(json, "num_experts_per_tok", config.top_k,
                 "at most the experts of the chosen groups (" + std::to_string(eligible) + ")");
}

}  // namespace

void read_deepseek_v2_config(const JsonObject& json, ModelConfig& config) {
  read_common(json, 1e-6, config);
  read_scaling(read_positions(json, config), config);
  read_attention(json, config);
  read_expert_counts(json, "n_routed_experts", config);
  read_gate(json, config);
  config.expert_width = config_integer(json, "moe_intermediate_size", kMaxWidth);
  const std::int64_t shared = json.integer_or("n_shared_experts", 0, 0, kMaxCount);
  if (shared * config.expert_width > kMaxWidth)
    inconsistent(json, "n_shared_experts", static_cast<int>(shared),
                 "shared experts of at most " + std::to_string(kMaxWidth) + " elements together");
  config.shared_width = static_cast<int>(shared) * config.expert_width;
  const std::int64_t first = json.integer_or("first_k_dense_replace", 0, 0, kMaxCount);
  const std::int64_t step = json.integer_or("moe_layer_freq", 1, 1, kMaxCount);
  for (int layer = 0; layer < config.layers; ++layer)
    if (layer >= first && layer % step == 0) config.moe_layers.push_back(layer);
  check_moe_layers(json, "first_k_dense_replace", config);
  if (static_cast<int>(config.moe_layers.size()) < config.layers)
    config.dense_width = config_integer(json, "intermediate_size", kMaxWidth);
}

}  // namespace gracemoe
