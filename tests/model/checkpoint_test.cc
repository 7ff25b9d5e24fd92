#include "model/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "model/fingerprint.h"
#include "model/model_folder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

constexpr const char* kIndex = "model.safetensors.index.json";
constexpr const char* kFirst = "model-00001-of-00002.safetensors";
constexpr const char* kSecond = "model-00002-of-00002.safetensors";

// The tiny model with every other tensor in the second of two shards.
class ShardedModel : public ModelFolder {
 public:
  ShardedModel() {
    {
      const SafetensorsFile whole(*this / "model.safetensors");
      std::map<std::string, TensorView> shards[2];
      Json weight_map;
      int at = 0;
      for (const auto& [name, view] : whole.tensors()) {
        shards[at][name] = view;
        weight_map[name] = at == 0 ? kFirst : kSecond;
        at = 1 - at;
      }
      write_safetensors(*this / kFirst, shards[0], {});
      write_safetensors(*this / kSecond, shards[1], {});
      write_file(*this / kIndex,
                 Json{{"metadata", Json::object()}, {"weight_map", weight_map}}.dump());
    }
    remove("model.safetensors");
  }
};

std::string open_error(const fs::path& folder) {
  return error_of([&] { Checkpoint{folder}; });
}

TEST(Checkpoint, SingleFileCountsEachTensorOnce) {
  Checkpoint checkpoint(tiny_model());
  EXPECT_TRUE(checkpoint.has("lm_head.weight"));
  EXPECT_FALSE(checkpoint.has("none"));
  EXPECT_EQ(checkpoint.bytes_used(), 0);
  EXPECT_EQ(checkpoint.tensor("lm_head.weight", {320, 64}).bytes.size(), 320U * 64 * 2);
  checkpoint.tensor("lm_head.weight", {320, 64});
  EXPECT_EQ(checkpoint.bytes_used(), 320 * 64 * 2);
  checkpoint.tensor("model.norm.weight", {64});
  EXPECT_EQ(checkpoint.bytes_used(), 320 * 64 * 2 + 128);
  EXPECT_GT(checkpoint.bytes_total(), 400'000);
  EXPECT_LT(checkpoint.bytes_total(),
            static_cast<std::int64_t>(fs::file_size(tiny_model() / "model.safetensors")));
}

TEST(Checkpoint, ShardsHoldTheSameTensors) {
  const ShardedModel sharded;
  Checkpoint a(tiny_model());
  Checkpoint b(sharded.path());
  EXPECT_EQ(a.bytes_total(), b.bytes_total());
  const SafetensorsFile whole(tiny_model() / "model.safetensors");
  for (const auto& [name, view] : whole.tensors()) {
    const TensorView& other = b.tensor(name, view.shape);
    ASSERT_EQ(view.bytes.size(), other.bytes.size()) << name;
    EXPECT_EQ(std::memcmp(view.bytes.data(), other.bytes.data(), view.bytes.size()), 0) << name;
  }
  EXPECT_EQ(b.bytes_used(), b.bytes_total());
}

TEST(Checkpoint, OtherSafetensorsFilesAreLeftAlone) {
  const ShardedModel sharded;
  write_file(sharded / "adapter.safetensors", "not even safetensors");
  write_file(sharded / "training_args.bin", "x");
  EXPECT_EQ(open_error(sharded.path()), "");
}

TEST(Checkpoint, ASingleFileComesBeforeAnIndex) {
  const ModelFolder model;
  write_file(model / kIndex, "not read");
  EXPECT_EQ(open_error(model.path()), "");
}

TEST(Checkpoint, NoWeights) {
  const ModelFolder model;
  model.remove("model.safetensors");
  write_file(model / kFirst, "a shard without an index is not enough");
  EXPECT_THAT(open_error(model.path()),
              AllOf(HasSubstr("no weights"), HasSubstr("model.safetensors.index.json"),
                    HasSubstr("complete Hugging Face")));
  EXPECT_THAT(open_error(model / "none"), HasSubstr("no such folder"));
}

TEST(Checkpoint, MissingShard) {
  const ShardedModel sharded;
  sharded.remove(kSecond);
  EXPECT_THAT(open_error(sharded.path()),
              AllOf(HasSubstr(kSecond), HasSubstr("no such file"), HasSubstr("fetch the missing")));
}

TEST(Checkpoint, TruncatedShard) {
  const ShardedModel sharded;
  fs::resize_file(sharded / kSecond, fs::file_size(sharded / kSecond) - 1000);
  EXPECT_THAT(open_error(sharded.path()),
              AllOf(HasSubstr(std::string(kSecond) + ": truncated"),
                    HasSubstr("1,000 bytes are missing"), HasSubstr("fetch the file again")));
}

TEST(Checkpoint, IndexNamesATensorThatItsShardLacks) {
  const ShardedModel sharded;
  sharded.edit_json(kIndex, [](Json& json) { json["weight_map"]["model.extra"] = kFirst; });
  EXPECT_THAT(open_error(sharded.path()),
              AllOf(HasSubstr(std::string(kFirst) + ": tensor 'model.extra'"),
                    HasSubstr("no such tensor"), HasSubstr(kIndex)));
}

TEST(Checkpoint, MalformedIndex) {
  const ShardedModel sharded;
  const std::string good = read_file(sharded / kIndex);
  write_file(sharded / kIndex, good.substr(0, good.size() / 2));
  EXPECT_THAT(open_error(sharded.path()), AllOf(HasSubstr(kIndex), HasSubstr("not valid JSON")));
  write_file(sharded / kIndex, "{}");
  EXPECT_THAT(open_error(sharded.path()), HasSubstr("weight_map: got nothing, wanted an object"));
  write_file(sharded / kIndex, R"({"weight_map": {"a": 1}})");
  EXPECT_THAT(open_error(sharded.path()), HasSubstr("weight_map.a: got 1, wanted a string; check"));
  write_file(sharded / kIndex, R"({"weight_map": 3})");
  EXPECT_THAT(open_error(sharded.path()),
              HasSubstr("weight_map: got 3, wanted an object; check that it is the right file"));
  write_file(sharded / kIndex, "[]");
  EXPECT_THAT(open_error(sharded.path()),
              HasSubstr("index.json: got a list of 0, wanted a JSON object; check that it"));
  for (const char* shard : {"../model.safetensors", "/etc/passwd", "..", ""}) {
    write_file(sharded / kIndex, Json{{"weight_map", {{"a", shard}}}}.dump());
    EXPECT_THAT(open_error(sharded.path()), HasSubstr("a file in the same folder")) << shard;
  }
}

TEST(Checkpoint, WrongShapeWrongTypeAndMissingTensor) {
  Checkpoint checkpoint(tiny_model());
  const auto error = [](Checkpoint& from, const std::vector<std::int64_t>& shape) {
    return error_of([&] { from.tensor("lm_head.weight", shape); });
  };
  EXPECT_THAT(error(checkpoint, {64, 320}),
              HasSubstr("model.safetensors: tensor 'lm_head.weight': got BF16 [320, 64], wanted "
                        "BF16, F16 or F32 [64, 320]"));
  EXPECT_THAT(error(checkpoint, {320}), HasSubstr("wanted BF16, F16 or F32 [320]"));
  EXPECT_THAT(error_of([&] { checkpoint.tensor("model.none", {1}); }),
              AllOf(HasSubstr("olmoe_tiny: tensor 'model.none'"), HasSubstr("no such tensor"),
                    HasSubstr("belong together")));
  EXPECT_EQ(checkpoint.bytes_used(), 0);

  const ModelFolder model;
  const std::vector<std::int32_t> zeros(320 * 64);
  write_safetensors(model / "model.safetensors",
                    {{"lm_head.weight", {DType::kI32, {320, 64}, std::as_bytes(std::span(zeros))}}},
                    {});
  Checkpoint integers(model.path());
  EXPECT_THAT(error(integers, {320, 64}),
              HasSubstr("got I32 [320, 64], wanted BF16, F16 or F32 [320, 64]"));
}

TEST(Checkpoint, SharedShardedModel) {
  const fs::path folder = GRACEMOE_SHARED_DIR "/fixtures/qwen3_moe_tiny";
  if (!fs::exists(folder)) GTEST_SKIP() << "optional data is not here";
  Checkpoint checkpoint(folder);
  EXPECT_EQ(checkpoint.bytes_total(), 677'120);
  checkpoint.tensor("model.layers.1.mlp.gate_proj.weight", {128, 64});
  checkpoint.tensor("model.layers.2.self_attn.k_norm.weight", {32});
}

TEST(Fingerprint, FollowsRoutersAndShapesOnly) {
  const auto of = [](const fs::path& folder) {
    Checkpoint checkpoint(folder);
    return fingerprint(checkpoint, read_model_config(folder));
  };
  const std::string original = of(tiny_model());
  EXPECT_EQ(original.size(), 16U);
  EXPECT_EQ(original.find_first_not_of("0123456789abcdef"), original.npos);
  EXPECT_EQ(of(ShardedModel().path()), original);
  EXPECT_NE(of(demo_model()), original);

  const ModelFolder other_key;
  other_key.edit_json("config.json", [](Json& json) { json["router_aux_loss_coef"] = 0.5; });
  EXPECT_EQ(of(other_key.path()), original);
  const ModelFolder other_k;
  other_k.edit_json("config.json", [](Json& json) { json["num_experts_per_tok"] = 3; });
  EXPECT_NE(of(other_k.path()), original);

  // One bit of the last router.
  const ModelFolder tuned;
  const SafetensorsFile whole(tiny_model() / "model.safetensors");
  auto tensors = whole.tensors();
  TensorView& router = tensors.at(router_tensor(1));
  std::vector<std::byte> bytes(router.bytes.begin(), router.bytes.end());
  bytes.back() ^= std::byte{1};
  router.bytes = bytes;
  write_safetensors(tuned / "model.safetensors", tensors, {});
  EXPECT_NE(of(tuned.path()), original);
}

TEST(Fingerprint, ReadsTheRoutersOnly) {
  Checkpoint checkpoint(tiny_model());
  fingerprint(checkpoint, read_model_config(tiny_model()));
  EXPECT_EQ(checkpoint.bytes_used(), 2 * 8 * 64 * 2);  // layers x experts x hidden x bytes
}

}  // namespace
}  // namespace gracemoe
