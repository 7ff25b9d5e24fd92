#include "model/shared_hashes.h"

#include <xxhash.h>

#include <bit>
#include <initializer_list>
#include <new>

#include "base/hash.h"
#include "model/fingerprint.h"

namespace gracemoe {
namespace {

std::uint64_t hash_tensor(const std::string& name, std::span<const std::byte> bytes) {
  TensorHash hash(name);
  hash.add(bytes);
  return hash.value();
}

std::uint64_t positions_hash(const ModelConfig& config) {
  const YarnConfig yarn = config.yarn.value_or(YarnConfig{});
  std::uint64_t hash = config.yarn ? 1 : 0;
  for (const double number : {yarn.factor, yarn.beta_fast, yarn.beta_slow, yarn.mscale,
                              yarn.mscale_all_dim, 1.0 * yarn.original_positions})
    hash = hash_combine(hash, std::bit_cast<std::uint64_t>(number));
  return hash;
}

}  // namespace

TensorHash::TensorHash(const std::string& name) : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  XXH3_64bits_reset_withSeed(state_.get(), hash_bytes(std::as_bytes(std::span(name))));
}

void TensorHash::add(std::span<const std::byte> piece) {
  XXH3_64bits_update(state_.get(), piece.data(), piece.size());
}

std::uint64_t TensorHash::value() const {
  return XXH3_64bits_digest(state_.get()) | 1;
}

void TensorHash::Free::operator()(XXH3_state_s* state) const {
  XXH3_freeState(state);
}

SharedHashes::SharedHashes(const Checkpoint& checkpoint, int member, int members)
    : mapped_(checkpoint.in_files()), members_(members) {
  int next = 0;
  for (const auto& [name, tensor] : checkpoint.all()) {
    if (is_expert_tensor(name)) continue;
    if (next++ % members == member) mine_[name] = {tensor->bytes, 0};
  }
}

void SharedHashes::take(const std::string& name) {
  const auto found = mine_.find(name);
  if (found != mine_.end() && found->second.hash == 0)
    found->second.hash = hash_tensor(name, found->second.bytes);
}

void SharedHashes::take(const std::string& name, const TensorHash& hash) {
  const auto found = mine_.find(name);
  if (found != mine_.end()) found->second.hash = hash.value();
}

bool SharedHashes::taken(const std::string& name) const {
  const auto found = mine_.find(name);
  return found != mine_.end() && found->second.hash != 0;
}

std::uint64_t SharedHashes::sum() {
  std::uint64_t sum = 0;
  for (auto& [name, entry] : mine_) {
    if (entry.hash == 0) {
      entry.hash = hash_tensor(name, entry.bytes);
      if (mapped_) MappedFile::release(entry.bytes);
    }
    sum += entry.hash;
  }
  return sum;
}

std::string shared_digest(const Checkpoint& checkpoint, const ModelConfig& config,
                          std::uint64_t sum) {
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
    hash = hash_combine(hash, static_cast<std::uint64_t>(tensor->dtype));
  }
  return hex64(hash_combine(hash, sum));
}

std::string shared_digest(const Checkpoint& checkpoint, const ModelConfig& config) {
  return shared_digest(checkpoint, config, SharedHashes(checkpoint, 0, 1).sum());
}

}  // namespace gracemoe
