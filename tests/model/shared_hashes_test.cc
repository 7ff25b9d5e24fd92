// Hashing in parts, and files that are read while others are packed.
#include "model/shared_hashes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "model/model_config.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

const std::filesystem::path kModel =
    std::filesystem::path(GRACEMOE_SOURCE_DIR) / "tests/data/qwen3_moe_tiny";

TEST(SharedHashes, PartsOfAnyCutGiveTheSameSum) {
  const Checkpoint checkpoint(kModel);
  const ModelConfig config = read_model_config(kModel);
  const std::uint64_t whole = SharedHashes(checkpoint, 0, 1).sum();
  for (const int members : {2, 3, 40}) {
    std::uint64_t sum = 0;
    for (int member = 0; member < members; ++member) {
      SharedHashes part(checkpoint, member, members);
      part.take("model.norm.weight");  // whoever has it
      part.take("model.layers.0.mlp.experts.0.up_proj.weight");
      sum += part.sum();
      EXPECT_EQ(part.sum(), SharedHashes(checkpoint, member, members).sum());
    }
    EXPECT_EQ(sum, whole);
  }
  EXPECT_EQ(shared_digest(checkpoint, config), shared_digest(checkpoint, config, whole));
}

TEST(TensorHash, IsOfTheBytesNotOfThePieces) {
  std::vector<std::byte> bytes(100'000);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * i >> 3);
  const auto in_pieces = [&](const std::string& name, std::size_t piece) {
    TensorHash hash(name);
    for (std::size_t at = 0; at < bytes.size(); at += piece)
      hash.add(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    return hash.value();
  };
  const std::uint64_t whole = in_pieces("a", bytes.size());
  for (const std::size_t piece : {999U, 4096U, 65536U}) EXPECT_EQ(in_pieces("a", piece), whole);
  EXPECT_NE(in_pieces("b", 4096), whole);
  bytes[70'000] ^= std::byte{1};
  EXPECT_NE(in_pieces("a", 4096), whole);
}

TEST(SharedHashes, AnyBitOfWhatAllLoadCounts) {
  const TempDir folder;
  std::filesystem::copy(kModel, folder / "m");
  const ModelConfig config = read_model_config(kModel);
  const std::string before = shared_digest(Checkpoint(kModel), config);
  EXPECT_EQ(shared_digest(Checkpoint(folder / "m"), config), before);
  const Checkpoint checkpoint(kModel);
  for (const auto& [name, changes] : {std::pair("model.norm.weight", true),
                                      {"lm_head.weight", true},
                                      {"model.layers.0.mlp.experts.3.up_proj.weight", false}}) {
    for (const char* shard :
         {"model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"}) {
      const SafetensorsFile file(kModel / shard);
      if (!file.has(name)) continue;
      std::string bytes = read_file(kModel / shard);
      const std::string tensor(reinterpret_cast<const char*>(file.tensor(name).bytes.data()),
                               file.tensor(name).bytes.size());
      bytes[bytes.find(tensor) + 5] ^= 1;
      write_file(folder / "m" / shard, bytes);
      EXPECT_EQ(shared_digest(Checkpoint(folder / "m"), config) != before, changes) << name;
      write_file(folder / "m" / shard, read_file(kModel / shard));
    }
  }
}

}  // namespace
}  // namespace gracemoe
