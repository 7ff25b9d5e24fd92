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
  { const ReadAhead none({}, 10); }
  { const ReadAhead waiting(std::vector<FilePart>(9, counted), 1); }  // for room that never comes
  ReadAhead going(std::vector<FilePart>(9, counted), 1);
  for (int i = 0; i < 9; ++i) going.taken(memory.size());
}

}  // namespace
}  // namespace gracemoe
