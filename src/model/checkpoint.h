// The weights of a Hugging Face folder: model.safetensors, or else the shards listed by
// model.safetensors.index.json; other files of the folder are left alone. Memory-mapped: a tensor's
// bytes are read from disk when touched. Not thread-safe.
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/bf16.h"
#include "base/safetensors.h"

namespace gracemoe {

class Checkpoint {
 public:
  // Errors (kInput): no weights; a shard missing (named) or truncated; index malformed; a tensor
  // listed in the index but not in its shard.
  explicit Checkpoint(const std::filesystem::path& folder);
  // Weights that no file holds, for benchmarks: every tensor that is asked for is there. Matrices
  // are cut from one pool of small random numbers, so that they take the memory of the largest
  // only; vectors are ones. `largest`: elements of the largest tensor.
  static Checkpoint random(std::size_t largest, std::uint64_t seed);
  const std::filesystem::path& folder() const { return folder_; }
  bool has(const std::string& name) const { return where_.contains(name); }
  // Whether tensors are mapped files' bytes, which come again when they are let go, not memory's.
  bool in_files() const { return pool_.empty(); }
  // The tensor with exactly this shape and dtype BF16, F16 or F32; counts its bytes as read. Errors
  // (kInput): missing, other shape or type (got / wanted).
  const TensorView& tensor(const std::string& name, const std::vector<std::int64_t>& shape);
  // Bytes of all tensors handed out so far (each once): what this rank needs of the checkpoint.
  std::int64_t bytes_used() const { return bytes_used_; }
  std::int64_t bytes_total() const;
  // Every tensor by name, for looking at only: counts nothing as read.
  std::map<std::string, const TensorView*> all() const;

 private:
  Checkpoint() = default;
  const TensorView& random_tensor(const std::string& name, const std::vector<std::int64_t>& shape);
  void read_index(const std::filesystem::path& path);
  std::filesystem::path folder_;
  std::vector<SafetensorsFile> files_;
  std::map<std::string, std::size_t> where_;  // tensor -> its file's index in files_
  std::set<std::string> used_;
  std::int64_t bytes_used_ = 0;
  std::vector<bf16> pool_;                    // of random(): never moved once filled
  std::map<std::string, TensorView> random_;  // handed out, views of pool_
};

}  // namespace gracemoe
