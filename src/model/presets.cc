#include "model/presets.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace gracemoe {
namespace {

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
  c.moe_layers.resize(static_cast<std::size_t>(c.layers));
  std::iota(c.moe_layers.begin(), c.moe_layers.end(), 0);
  return c;
}

}  // namespace

std::vector<std::string> preset_names() {
  return {"olmoe-1b-7b"};
}

ModelConfig preset_config(const std::string& name) {
  if (name == "olmoe-1b-7b") return olmoe_1b_7b();
  fail_usage({"preset of shapes", "'" + name + "'", "olmoe-1b-7b", ""});
}

ModelConfig first_layers(ModelConfig config, int count) {
  if (count > config.layers)
    fail_usage({"layers", std::to_string(count),
                "at most " + std::to_string(config.layers) + ", the model's", ""});
  config.layers = count;
  std::erase_if(config.moe_layers, [&](int layer) { return layer >= count; });
  return config;
}

std::size_t largest_tensor(const ModelConfig& c) {
  const auto size = [](int a, int b) {
    return static_cast<std::size_t>(a) * static_cast<std::size_t>(b);
  };
  return std::max({size(c.vocab, c.hidden), size(c.expert_width, c.hidden),
                   size(c.heads * c.head_dim, c.hidden), size(c.experts, c.hidden)});
}

}  // namespace gracemoe
