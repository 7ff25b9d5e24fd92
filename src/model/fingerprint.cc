#include "model/fingerprint.h"

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <span>

#include "base/hash.h"

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

std::uint64_t positions_hash(const ModelConfig& config) {
  const YarnConfig yarn = config.yarn.value_or(YarnConfig{});
  return combine(config.yarn ? 1 : 0, {yarn.factor, yarn.beta_fast, yarn.beta_slow, yarn.mscale,
                                       yarn.mscale_all_dim, yarn.original_positions});
}

}  // namespace

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
    hash = hash_bytes(router.bytes, hash);
  }
  return hex64(hash);
}

std::string shared_digest(const Checkpoint& checkpoint, const ModelConfig& config) {
  std::uint64_t hash = hash_combine(std::bit_cast<std::uint64_t>(config.rope_theta),
                                    std::bit_cast<std::uint64_t>(config.rms_eps));
  hash = hash_combine(hash, static_cast<std::uint64_t>(config.max_positions));
  hash = hash_combine(hash, positions_hash(config));
  for (const int token : config.eos_tokens)
    hash = hash_combine(hash, static_cast<std::uint64_t>(token));
  for (const auto& [name, tensor] : checkpoint.all()) {
    hash = hash_bytes(std::as_bytes(std::span(name)), hash);
    for (const std::int64_t size : tensor->shape)
      hash = hash_combine(hash, static_cast<std::uint64_t>(size));
    if (name.find(".experts.") == std::string::npos) hash = hash_bytes(tensor->bytes, hash);
  }
  return hex64(hash);
}

}  // namespace gracemoe
