#include "model/fingerprint.h"

#include <bit>
#include <cstdint>
#include <span>

#include "base/hash.h"

namespace gracemoe {

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
