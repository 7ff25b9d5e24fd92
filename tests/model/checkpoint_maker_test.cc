#include "model/checkpoint_maker.h"
#include "model/model_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "model/checkpoint.h"
#include "model/model_config.h"
#include "model/released_models.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

std::filesystem::path data(const std::string& model) {
  return GRACEMOE_SOURCE_DIR "/tests/data/" + model;
}

// The same tensors, of the same shapes, as a checkpoint that somebody else wrote.
TEST(CheckpointMaker, HasTheTensorsOfTheRealFolder) {
  for (const char* model : {"olmoe_tiny", "qwen3_moe_tiny", "qwen3_moe_tiny_tied",
                            "deepseek_v2_tiny", "deepseek_v2_tiny_q"}) {
    const TempDir folder;
    CheckpointRecipe recipe;
    recipe.config = data(model) / "config.json";
    recipe.shard_gb = 1e-4;
    std::int64_t told = 0;
    make_checkpoint(recipe, folder / "made", [&](std::int64_t bytes) { told = bytes; });
    const Checkpoint made(folder / "made"), real(data(model));
    EXPECT_EQ(made.bytes_total(), real.bytes_total()) << model;
    EXPECT_EQ(told, real.bytes_total()) << model;
    EXPECT_EQ(checkpoint_bytes(recipe), told);
    const auto ours = made.all(), theirs = real.all();
    ASSERT_EQ(ours.size(), theirs.size()) << model;
    for (const auto& [name, tensor] : theirs) {
      ASSERT_TRUE(ours.contains(name)) << model << " " << name;
      EXPECT_EQ(ours.at(name)->shape, tensor->shape) << model << " " << name;
    }
    EXPECT_EQ(read_model_config(folder / "made").moe_layers,
              read_model_config(data(model)).moe_layers);
    std::size_t shards = 0;
    for (const auto& file : std::filesystem::directory_iterator(folder / "made")) {
      const std::string name = file.path().filename();
      shards += name.starts_with("model-") ? 1 : 0;
    }
    EXPECT_GT(shards, 3u);
  }
}

TEST(CheckpointMaker, SeedsDecideTheBytes) {
  const TempDir folder;
  CheckpointRecipe recipe;
  recipe.config = data("olmoe_tiny") / "config.json";
  recipe.layers = 1;
  make_checkpoint(recipe, folder / "a", {});
  make_checkpoint(recipe, folder / "b", {});
  recipe.seed = 1;
  make_checkpoint(recipe, folder / "c", {});
  const auto weights = [&](const char* name) {
    return read_file(folder / name / "model.safetensors");
  };
  EXPECT_EQ(weights("a"), weights("b"));
  EXPECT_NE(weights("a"), weights("c"));
}

TEST(CheckpointMaker, SizesOfReleasedModels) {
  const auto bytes = [](const char* preset) {
    CheckpointRecipe recipe;
    recipe.preset = preset;
    return checkpoint_bytes(recipe);
  };
  // Their published index files' total_size.
  EXPECT_EQ(bytes("olmoe-1b-7b"), 13'838'323'712);
  EXPECT_EQ(bytes("qwen3-30b-a3b"), 61'064'245'248);
  EXPECT_EQ(bytes("deepseek-v2-lite"), 31'412'968'448);
}

TEST(CheckpointMaker, Refusals) {
  const TempDir folder;
  CheckpointRecipe recipe;
  const auto refused = [&] {
    return error_of([&] { checkpoint_bytes(recipe); }, ErrorCategory::kUsage);
  };
  EXPECT_THAT(refused(), HasSubstr("either --preset or --config"));
  recipe.preset = "gpt-9";
  EXPECT_THAT(refused(),
              HasSubstr("preset: got 'gpt-9', wanted one of olmoe-1b-7b, qwen3-30b-a3b"));
  recipe.preset.clear();
  recipe.config = data("olmoe_tiny") / "config.json";
  write_file(folder / "there", "x");
  EXPECT_THAT(error_of([&] { make_checkpoint(recipe, folder.path(), {}); }, ErrorCategory::kOutput),
              HasSubstr("a folder that is not empty"));
}

TEST(ModelTensors, AreThoseOfReleasedFolders) {
  for (const char* model : {"olmoe_tiny", "qwen3_moe_tiny", "qwen3_moe_tiny_tied",
                            "deepseek_v2_tiny", "deepseek_v2_tiny_q"}) {
    const std::filesystem::path folder =
        std::filesystem::path(GRACEMOE_SOURCE_DIR "/tests/data") / model;
    const Checkpoint checkpoint(folder);
    std::map<std::string, std::vector<std::int64_t>> wanted, got;
    for (const auto& [name, tensor] : checkpoint.all()) wanted[name] = tensor->shape;
    for (const ModelTensor& tensor : model_tensors(read_model_config(folder)))
      got[tensor.name] = tensor.shape;
    EXPECT_EQ(got, wanted) << model;
  }
}

}  // namespace
}  // namespace gracemoe
