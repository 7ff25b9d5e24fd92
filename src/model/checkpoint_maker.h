// Checkpoints of released models' exact shapes with random weights.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

namespace gracemoe {

struct CheckpointRecipe {
  std::string preset;            // "olmoe-1b-7b", "qwen3-30b-a3b", "deepseek-v2-lite"
  std::filesystem::path config;  // a config.json to take the shapes from instead
  int layers = 0;                // 0: the model's own number
  std::uint64_t seed = 0;
  double shard_gb = 5;              // shards are cut before they exceed this many 10^9 bytes
  std::filesystem::path tokenizer;  // copied; empty: none
};

// Bytes of all tensors. Errors (kUsage): an unknown preset (lists the known), or neither preset nor
// config, or both.
std::int64_t checkpoint_bytes(const CheckpointRecipe& recipe);

// Writes config.json, generation_config.json, the shards and, last, their index (each under a
// temporary name, then renamed), with the released folder's tensor names and shapes. Matrices are
// normal with variance 1 / fan-in, norms 1; every value is a hash of seed, tensor and place: the
// same bytes everywhere. `progress` is told the bytes written so far. Errors: kUsage as above;
// kOutput where the folder is not empty or the disk has too little room.
void make_checkpoint(const CheckpointRecipe& recipe, const std::filesystem::path& folder,
                     const std::function<void(std::int64_t bytes)>& progress);

}  // namespace gracemoe
