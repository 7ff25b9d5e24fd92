// What config.json says, in one struct for all architectures; what an architecture does not use
// stays at its default.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace gracemoe {

enum class Architecture { kOlmoe };  // "OlmoeForCausalLM"

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
  bool tied_embeddings = false;
  // Mixture of experts
  int experts = 0;
  int top_k = 0;
  int expert_width = 0;          // intermediate size of one expert
  bool normalize_top_k = false;  // divide the k weights by their sum
  std::vector<int> moe_layers;   // transformer layers with experts, ascending
  // Tokens
  std::vector<int> eos_tokens;  // from generation_config.json, else config.json
};

// The table's first column of the architectures that can be read: what config.json's
// "architectures" may say.
std::vector<std::string> known_architectures();

// Reads config.json and generation_config.json (optional) of a Hugging Face folder. Errors (kInput)
// name the file and the key: missing, of the wrong type or out of range, inconsistent (hidden not
// divisible by heads, top_k > experts, ...), unknown architecture (lists the known ones), a feature
// we do not have (clip_qkv, rope_scaling, attention_bias, quantization_config, activation other
// than silu, ...: by name).
ModelConfig read_model_config(const std::filesystem::path& folder);

}  // namespace gracemoe
