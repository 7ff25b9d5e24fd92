#include "model/checkpoint.h"

#include <functional>
#include <numeric>
#include <span>
#include <string_view>
#include <utility>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"

namespace gracemoe {
namespace {

constexpr const char* kSingle = "model.safetensors";
constexpr const char* kIndex = "model.safetensors.index.json";

// A shard lies beside its index: a name with a folder in it could point anywhere on the machine.
void check_shard_name(const std::string& shard, const std::string& where) {
  const bool plain = !shard.empty() && shard != "." && shard != ".." &&
                     shard.find('/') == shard.npos && shard.find('\0') == shard.npos;
  if (plain) return;
  fail_input({.what = where,
              .got = "'" + shard + "'",
              .wanted = "the name of a file in the same folder",
              .action = "put the shards beside their index and name them alone"});
}

}  // namespace

Checkpoint::Checkpoint(const std::filesystem::path& folder) : folder_(folder) {
  if (file_exists(folder / kSingle)) {
    files_.emplace_back(folder / kSingle);
    for (const auto& [name, view] : files_[0].tensors()) where_.emplace(name, 0);
  } else if (file_exists(folder / kIndex)) {
    read_index(folder / kIndex);
  } else {
    fail_input({.what = folder.string(),
                .got = file_exists(folder) ? "no weights" : "no such folder",
                .wanted = std::string(kSingle) + " or " + kIndex,
                .action = "check that the folder is a complete Hugging Face model folder with "
                          "safetensors weights"});
  }
}

void Checkpoint::read_index(const std::filesystem::path& path) {
  const Json json = read_json(path);
  const JsonObject weight_map = JsonObject(json, path.string()).object("weight_map");
  std::map<std::string, std::size_t> shards;
  for (const auto& [name, unused] : json.at("weight_map").items()) {
    const std::string shard = weight_map.text(name);
    check_shard_name(shard, weight_map.key_name(name));
    const auto [found, is_new] = shards.try_emplace(shard, files_.size());
    if (is_new) {
      if (!file_exists(folder_ / shard)) {
        fail_input({.what = (folder_ / shard).string(),
                    .got = "no such file",
                    .wanted = "the shard that " + path.filename().string() + " names",
                    .action = "fetch the missing file"});
      }
      files_.emplace_back(folder_ / shard);
    }
    if (!files_[found->second].has(name)) {
      fail_input({.what = (folder_ / shard).string() + ": tensor '" + name + "'",
                  .got = "no such tensor",
                  .wanted = "it here, as " + path.filename().string() + " says",
                  .action = "fetch the shard and the index again, from one place"});
    }
    where_.emplace(name, found->second);
  }
}

const TensorView& Checkpoint::tensor(const std::string& name,
                                     const std::vector<std::int64_t>& shape) {
  if (!pool_.empty()) return random_tensor(name, shape);
  const auto found = where_.find(name);
  if (found == where_.end()) {
    fail_input({.what = folder_.string() + ": tensor '" + name + "'",
                .got = "no such tensor",
                .wanted = "it in the weights",
                .action = "check that config.json and the weights belong together"});
  }
  const TensorView& view =
      files_[found->second].tensor(name, {DType::kBF16, DType::kF16, DType::kF32}, shape);
  if (used_.insert(name).second) bytes_used_ += static_cast<std::int64_t>(view.bytes.size());
  return view;
}

std::int64_t Checkpoint::bytes_total() const {
  std::int64_t total = 0;
  for (const auto& [name, file] : where_) {
    total += static_cast<std::int64_t>(files_[file].tensor(name).bytes.size());
  }
  return total;
}

std::map<std::string, const TensorView*> Checkpoint::all() const {
  std::map<std::string, const TensorView*> tensors;
  for (const auto& [name, file] : where_) tensors[name] = &files_[file].tensor(name);
  return tensors;
}

namespace {

constexpr std::size_t kOnes = std::size_t{1} << 16;   // the pool's first elements, for vectors
constexpr std::size_t kShift = std::size_t{1} << 16;  // matrices begin at one of these elements

}  // namespace

Checkpoint Checkpoint::random(std::size_t largest, std::uint64_t seed) {
  Checkpoint checkpoint;
  checkpoint.folder_ = "random weights";
  std::vector<bf16>& pool = checkpoint.pool_;
  pool.assign(kOnes, to_bf16(1.0F));
  pool.reserve(kOnes + kShift + largest);
  // Uniform with a standard deviation of 0.02, as models begin their training.
  while (pool.size() < kOnes + kShift + largest)
    pool.push_back(
        to_bf16(static_cast<float>(unit_interval(hash_combine(seed, pool.size())) - 0.5) * 0.07F));
  return checkpoint;
}

const TensorView& Checkpoint::random_tensor(const std::string& name,
                                            const std::vector<std::int64_t>& shape) {
  const auto [found, is_new] = random_.try_emplace(name);
  if (!is_new) return found->second;
  const auto elements = static_cast<std::size_t>(
      std::accumulate(shape.begin(), shape.end(), std::int64_t{1}, std::multiplies<>()));
  const std::size_t shift = hash_bytes(std::as_bytes(std::span(name))) % kShift;
  const std::size_t first = shape.size() == 1 ? 0 : kOnes + shift;
  GM_CHECK(elements <= pool_.size() - kOnes - kShift && (shape.size() > 1 || elements <= kOnes),
           "a random tensor larger than the largest");
  found->second = {DType::kBF16, shape, std::as_bytes(std::span(pool_).subspan(first, elements))};
  bytes_used_ += static_cast<std::int64_t>(found->second.bytes.size());
  return found->second;
}

}  // namespace gracemoe
