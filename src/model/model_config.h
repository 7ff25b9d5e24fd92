// What config.json says, in one struct for all architectures; what an architecture does not use
// stays at its default.
#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gracemoe {

enum class Architecture {
  kOlmoe,       // "OlmoeForCausalLM"
  kQwen3Moe,    // "Qwen3MoeForCausalLM"
  kDeepseekV2,  // "DeepseekV2ForCausalLM"
};

// Multi-head latent attention: keys and values of all heads are made from one latent vector.
struct LatentAttentionConfig {
  int query_rank = 0;  // q_lora_rank; 0: queries come straight from the hidden state
  int kv_rank = 0;     // kv_lora_rank; 0: another kind of attention
  int nope_dim = 0;    // of a head's query and key, the part without positions
  int rope_dim = 0;    // and the rotated part, whose key all heads share
  int value_dim = 0;
};

// rope_scaling of type yarn, as DeepSeek-V2 defines it.
struct YarnConfig {
  double factor = 1;
  double beta_fast = 32, beta_slow = 1;
  double mscale = 1, mscale_all_dim = 0;
  double original_positions = 0;
};

struct ModelConfig {
  Architecture architecture = Architecture::kOlmoe;
  std::string architecture_name;
  int vocab = 0;
  int hidden = 0;
  int layers = 0;
  int heads = 0;
  int kv_heads = 0;
  int head_dim = 0;
  int max_positions = 0;
  double rms_eps = 1e-5;
  double rope_theta = 10000;
  std::optional<YarnConfig> yarn;
  bool tied_embeddings = false;
  LatentAttentionConfig latent;
  int dense_width = 0;  // intermediate size of the layers without experts
  // Mixture of experts
  int experts = 0;
  int top_k = 0;
  int expert_width = 0;          // intermediate size of one expert
  bool normalize_top_k = false;  // divide the k weights by their sum
  double routed_scale = 1;       // multiplies the k weights
  int shared_width = 0;          // intermediate size of all shared experts together; 0: none
  // The experts form expert_groups equal groups; a token chooses within its best chosen_groups.
  int expert_groups = 1, chosen_groups = 1;
  std::vector<int> moe_layers;  // transformer layers with experts, ascending
  // Tokens
  std::vector<int> eos_tokens;  // from generation_config.json, else config.json
};

// The table's first column of the architectures that can be read: what config.json's
// "architectures" may say.
std::vector<std::string> known_architectures();

// Reads config.json and generation_config.json (optional) of a Hugging Face folder. Errors (kInput)
// name the file and the key: missing, of the wrong type or out of range, inconsistent (hidden not
// divisible by heads, top_k > experts, ...), unknown architecture (lists the known ones), a feature
// we do not have (clip_qkv, unknown rope types, attention_bias, sliding windows,
// quantization_config, activation other than silu, ...: by name).
ModelConfig read_model_config(const std::filesystem::path& folder);

// Elements that one position takes in the cache of one layer: keys and values of all key heads, or
// one latent vector and one rotated key.
int cache_elements(const ModelConfig& config);

}  // namespace gracemoe
