#include "model/presets.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace gracemoe {
namespace {

// Every layer from `first` on has experts.
void set_moe_layers(ModelConfig& c, int first) {
  c.moe_layers.resize(static_cast<std::size_t>(c.layers - first));
  std::iota(c.moe_layers.begin(), c.moe_layers.end(), first);
}

ModelConfig olmoe_1b_7b() {
  ModelConfig c;
  c.architecture = Architecture::kOlmoe;
  c.architecture_name = "OlmoeForCausalLM";
  c.vocab = 50304;
  c.hidden = 2048;
  c.layers = 16;
  c.heads = c.kv_heads = 16;
  c.head_dim = 128;
  c.max_positions = 4096;
  c.experts = 64;
  c.top_k = 8;
  c.expert_width = 1024;
  set_moe_layers(c, 0);
  return c;
}

ModelConfig qwen3_30b_a3b() {
  ModelConfig c;
  c.architecture = Architecture::kQwen3Moe;
  c.architecture_name = "Qwen3MoeForCausalLM";
  c.vocab = 151936;
  c.hidden = 2048;
  c.layers = 48;
  c.heads = 32;
  c.kv_heads = 4;
  c.head_dim = 128;
  c.max_positions = 40960;
  c.rms_eps = 1e-6;
  c.rope_theta = 1e6;
  c.experts = 128;
  c.top_k = 8;
  c.expert_width = 768;
  c.normalize_top_k = true;
  set_moe_layers(c, 0);
  return c;
}

ModelConfig deepseek_v2_lite() {
  ModelConfig c;
  c.architecture = Architecture::kDeepseekV2;
  c.architecture_name = "DeepseekV2ForCausalLM";
  c.vocab = 102400;
  c.hidden = 2048;
  c.layers = 27;
  c.heads = c.kv_heads = 16;
  c.head_dim = 192;
  c.max_positions = 163840;
  c.rms_eps = 1e-6;
  c.latent = {.query_rank = 0, .kv_rank = 512, .nope_dim = 128, .rope_dim = 64, .value_dim = 128};
  c.dense_width = 10944;
  c.experts = 64;
  c.top_k = 6;
  c.expert_width = 1408;
  c.shared_width = 2816;
  set_moe_layers(c, 1);
  return c;
}

struct Preset {
  const char* name;
  ModelConfig (*config)();
};
constexpr Preset kPresets[] = {{"olmoe-1b-7b", olmoe_1b_7b},
                               {"qwen3-30b-a3b", qwen3_30b_a3b},
                               {"deepseek-v2-lite", deepseek_v2_lite}};

}  // namespace

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const Preset& preset : kPresets) names.emplace_back(preset.name);
  return names;
}

ModelConfig preset_config(const std::string& name) {
  for (const Preset& preset : kPresets)
    if (name == preset.name) return preset.config();
  fail_usage({"preset of shapes", "'" + name + "'", "olmoe-1b-7b and others that --help lists",
              "choose one of them"});
}

ModelConfig first_layers(ModelConfig config, int count) {
  if (count > config.layers)
    fail_usage({"layers", std::to_string(count),
                "at most " + std::to_string(config.layers) + ", the model's",
                "ask for fewer layers"});
  config.layers = count;
  std::erase_if(config.moe_layers, [&](int layer) { return layer >= count; });
  return config;
}

std::size_t largest_tensor(const ModelConfig& c) {
  const auto size = [](int a, int b) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
  };
  const int heads = std::max(c.head_dim, c.latent.nope_dim + c.latent.value_dim);
  return std::max({size(c.vocab, c.hidden), size(c.expert_width, c.hidden),
                   size(c.heads * heads, c.hidden), size(c.experts, c.hidden),
                   size(c.dense_width, c.hidden), size(c.shared_width, c.hidden)});
}

}  // namespace gracemoe
