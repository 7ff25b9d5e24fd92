#include "model/released_models.h"

#include <utility>
#include <vector>

#include "base/error.h"

namespace gracemoe {
namespace {

OrderedJson olmoe_1b_7b() {
  return {{"architectures", OrderedJson::array({"OlmoeForCausalLM"})},
          {"attention_bias", false},
          {"clip_qkv", nullptr},
          {"eos_token_id", 50279},
          {"hidden_act", "silu"},
          {"hidden_size", 2048},
          {"intermediate_size", 1024},
          {"max_position_embeddings", 4096},
          {"model_type", "olmoe"},
          {"norm_topk_prob", false},
          {"num_attention_heads", 16},
          {"num_experts", 64},
          {"num_experts_per_tok", 8},
          {"num_hidden_layers", 16},
          {"num_key_value_heads", 16},
          {"pad_token_id", 1},
          {"rms_norm_eps", 1e-5},
          {"rope_scaling", nullptr},
          {"rope_theta", 10000.0},
          {"tie_word_embeddings", false},
          {"torch_dtype", "bfloat16"},
          {"vocab_size", 50304}};
}

OrderedJson qwen3_30b_a3b() {
  return {{"architectures", OrderedJson::array({"Qwen3MoeForCausalLM"})},
          {"attention_bias", false},
          {"bos_token_id", 151643},
          {"decoder_sparse_step", 1},
          {"eos_token_id", 151645},
          {"head_dim", 128},
          {"hidden_act", "silu"},
          {"hidden_size", 2048},
          {"intermediate_size", 6144},
          {"max_position_embeddings", 40960},
          {"max_window_layers", 48},
          {"mlp_only_layers", OrderedJson::array()},
          {"model_type", "qwen3_moe"},
          {"moe_intermediate_size", 768},
          {"norm_topk_prob", true},
          {"num_attention_heads", 32},
          {"num_experts", 128},
          {"num_experts_per_tok", 8},
          {"num_hidden_layers", 48},
          {"num_key_value_heads", 4},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling", nullptr},
          {"rope_theta", 1000000.0},
          {"sliding_window", nullptr},
          {"tie_word_embeddings", false},
          {"torch_dtype", "bfloat16"},
          {"use_sliding_window", false},
          {"vocab_size", 151936}};
}

OrderedJson deepseek_v2_lite() {
  const OrderedJson yarn = {
      {"beta_fast", 32}, {"beta_slow", 1},          {"factor", 40},
      {"mscale", 0.707}, {"mscale_all_dim", 0.707}, {"original_max_position_embeddings", 4096},
      {"type", "yarn"}};
  return {{"architectures", OrderedJson::array({"DeepseekV2ForCausalLM"})},
          {"attention_bias", false},
          {"bos_token_id", 100000},
          {"eos_token_id", 100001},
          {"first_k_dense_replace", 1},
          {"hidden_act", "silu"},
          {"hidden_size", 2048},
          {"intermediate_size", 10944},
          {"kv_lora_rank", 512},
          {"max_position_embeddings", 163840},
          {"model_type", "deepseek_v2"},
          {"moe_intermediate_size", 1408},
          {"moe_layer_freq", 1},
          {"n_group", 1},
          {"n_routed_experts", 64},
          {"n_shared_experts", 2},
          {"norm_topk_prob", false},
          {"num_attention_heads", 16},
          {"num_experts_per_tok", 6},
          {"num_hidden_layers", 27},
          {"num_key_value_heads", 16},
          {"q_lora_rank", nullptr},
          {"qk_nope_head_dim", 128},
          {"qk_rope_head_dim", 64},
          {"rms_norm_eps", 1e-6},
          {"rope_scaling", yarn},
          {"rope_theta", 10000},
          {"routed_scaling_factor", 1.0},
          {"scoring_func", "softmax"},
          {"tie_word_embeddings", false},
          {"topk_group", 1},
          {"topk_method", "greedy"},
          {"torch_dtype", "bfloat16"},
          {"v_head_dim", 128},
          {"vocab_size", 102400}};
}

}  // namespace

OrderedJson released_config(const std::string& name) {
  const std::vector<std::pair<std::string, OrderedJson (*)()>> models{
      {"olmoe-1b-7b", olmoe_1b_7b},
      {"qwen3-30b-a3b", qwen3_30b_a3b},
      {"deepseek-v2-lite", deepseek_v2_lite}};
  std::string known;
  for (const auto& [known_name, config] : models) {
    if (name == known_name) return config();
    known += (known.empty() ? "" : ", ") + known_name;
  }
  fail_usage({"preset", "'" + name + "'", "one of " + known, "choose one of them"});
}

}  // namespace gracemoe
