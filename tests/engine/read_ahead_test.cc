// What is fetched before the loader asks for it, and in which order.
#include "engine/read_ahead.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "model/fingerprint.h"
#include "plan/contiguous.h"

namespace gracemoe {
namespace {

const std::filesystem::path kModel =
    std::filesystem::path(GRACEMOE_SOURCE_DIR) / "tests/data/qwen3_moe_tiny";

TEST(LoadingOrder, IsLayerByLayerAndOnlyOnesOwnExperts) {
  const Checkpoint checkpoint(kModel);
  const ModelConfig config = read_model_config(kModel);
  const Plan plan =
      contiguous_plan({"", "", config.experts, config.top_k, 2, Topology::grid(1, 4)});
  std::map<const std::byte*, std::string> names;
  for (const auto& [name, tensor] : checkpoint.all()) names[tensor->bytes.data()] = name;
  std::size_t fetched = 0, all = 0;
  for (int device = 0; device < 4; ++device) {
    const SharedHashes hashes(checkpoint, device, 4);
    std::string last = "model.layers.0.";
    for (const FilePart& part : loading_order(checkpoint, config, plan, device, &hashes)) {
      const std::string& name = names.at(part.bytes.data());
      const std::string layer = name.substr(0, std::string("model.layers.0.").size());
      if (layer.starts_with("model.layers.") || last.starts_with("model.layers.")) {
        EXPECT_TRUE(!layer.starts_with("model.layers.") || layer >= last) << name;
      }
      last = layer;
      EXPECT_TRUE(!is_expert_tensor(name) || part.mine);
      fetched += part.mine ? part.bytes.size() : 0;
    }
  }
  for (const auto& [name, tensor] : checkpoint.all()) all += tensor->bytes.size();
  EXPECT_EQ(fetched, all);  // each once, together
}

TEST(ReadAhead, EndsWhereverItIs) {
  const std::vector<std::byte> memory(1 << 16);
  const FilePart counted{std::span(memory), false};
  { const ReadAhead none({}, 10, nullptr); }
  {  // for room that never comes
    const ReadAhead waiting(std::vector<FilePart>(9, counted), 1, nullptr);
  }
  ReadAhead finished(std::vector<FilePart>(9, counted), 1, nullptr);
  finished.finish();
  ReadAhead going(std::vector<FilePart>(9, counted), 1, nullptr);
  for (int i = 0; i < 9; ++i) going.taken(memory.size());
}

// The embedding and vectors are hashed on its way, and make room for what follows.
TEST(ReadAhead, HashesWhatNobodyPacks) {
  const Checkpoint checkpoint(kModel);
  const ModelConfig config = read_model_config(kModel);
  const Plan plan =
      contiguous_plan({"", "", config.experts, config.top_k, 2, Topology::grid(1, 1)});
  const std::uint64_t want = SharedHashes(checkpoint, 0, 1).sum();
  const auto hashes = std::make_shared<SharedHashes>(checkpoint, 0, 1);
  std::vector<FilePart> kept;
  for (FilePart& part : loading_order(checkpoint, config, plan, 0, hashes.get()))
    if (!part.kept.empty()) kept.push_back(std::move(part));
  std::size_t large = 0;
  for (const FilePart& part : kept) large += part.kept == kEmbedding ? 1 : 0;
  EXPECT_EQ(large, 1U);
  EXPECT_EQ(kept.size(), 1U + 1 + 3 * 4);  // final norm; two norms of a layer, of queries, of keys
  ReadAhead(kept, 1, hashes).finish();     // a window of a byte: each makes room for the next
  for (const FilePart& part : kept) EXPECT_TRUE(hashes->taken(part.kept)) << part.kept;
  EXPECT_EQ(hashes->sum(), want);
}

}  // namespace
}  // namespace gracemoe
