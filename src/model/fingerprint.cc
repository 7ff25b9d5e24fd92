#include "model/fingerprint.h"

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "base/hash.h"
#include "model/weights.h"

namespace gracemoe {

namespace {

std::uint64_t combine(std::uint64_t hash, std::initializer_list<double> numbers) {
  for (const double number : numbers)
    hash = hash_combine(hash, std::bit_cast<std::uint64_t>(number));
  return hash;
}

// What OLMoE, the first of the architectures, does not have.
std::uint64_t routing_hash(const ModelConfig& config) {
  return combine(0, {config.routed_scale, 1.0 * config.expert_groups, 1.0 * config.chosen_groups,
                     1.0 * config.shared_width});
}

}  // namespace

bool is_expert_tensor(const std::string& name) {
  return name.find(".experts.") != std::string::npos;
}

std::string router_tensor(int layer) {
  return "model.layers." + std::to_string(layer) + ".mlp.gate.weight";
}

std::string fingerprint(Checkpoint& checkpoint, const ModelConfig& config) {
  const std::string& name = config.architecture_name;
  std::uint64_t hash = hash_bytes(std::as_bytes(std::span(name.data(), name.size())));
  for (const int field : {config.vocab, config.hidden, config.layers, config.heads, config.kv_heads,
                          config.head_dim, config.experts, config.top_k, config.expert_width,
                          static_cast<int>(config.normalize_top_k)}) {
    hash = hash_combine(hash, static_cast<std::uint64_t>(field));
  }
  if (config.architecture != Architecture::kOlmoe) hash = hash_combine(hash, routing_hash(config));
  for (const int layer : config.moe_layers) {
    hash = hash_combine(hash, static_cast<std::uint64_t>(layer));
    const TensorView& router =
        checkpoint.tensor(router_tensor(layer), {config.experts, config.hidden});
    const Bf16Weights weights =
        bf16_weights(router, WeightRounding::kNearest, router_tensor(layer));
    hash = hash_bytes(std::as_bytes(weights.data), hash);
  }
  return hex64(hash);
}

}  // namespace gracemoe
