// What the configurations of Qwen3-MoE and DeepSeek-V2 say, and what of them is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/fingerprint.h"
#include "model/model_config.h"
#include "model/model_folder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::filesystem::path data(const std::string& model) {
  return GRACEMOE_SOURCE_DIR "/tests/data/" + model;
}

ModelConfig with(const std::string& model, const std::function<void(Json&)>& change) {
  const ModelFolder folder(data(model));
  folder.edit_json("config.json", change);
  return read_model_config(folder.path());
}

std::string error_with(const std::string& model, const std::string& key, const Json& value) {
  return error_of([&] { with(model, [&](Json& json) { json[key] = value; }); });
}

auto feature(const std::string& key) {
  return AllOf(HasSubstr("config.json: " + key), HasSubstr("feature"));
}

TEST(Qwen3MoeConfig, IsRead) {
  const ModelConfig c = read_model_config(data("qwen3_moe_tiny"));
  EXPECT_EQ(c.architecture, Architecture::kQwen3Moe);
  EXPECT_EQ(c.head_dim, 32);  // not hidden / heads = 16
  EXPECT_EQ(c.kv_heads, 2);
  EXPECT_EQ(c.expert_width, 32);
  EXPECT_EQ(c.dense_width, 128);
  EXPECT_EQ(c.shared_width, 0);
  EXPECT_TRUE(c.normalize_top_k);
  EXPECT_FALSE(c.tied_embeddings);
  EXPECT_EQ(c.rope_theta, 1e6);
  EXPECT_THAT(c.moe_layers, ElementsAre(0, 2));
  EXPECT_THAT(c.eos_tokens, ElementsAre(316, 314));
  EXPECT_EQ(cache_elements(c), 2 * 2 * 32);
  EXPECT_TRUE(read_model_config(data("qwen3_moe_tiny_tied")).tied_embeddings);
}

TEST(Qwen3MoeConfig, WhichLayersHaveExperts) {
  const auto layers = [](int step, const Json& dense) {
    return with("qwen3_moe_tiny",
                [&](Json& json) {
                  json["num_hidden_layers"] = 6;
                  json["decoder_sparse_step"] = step;
                  json["mlp_only_layers"] = dense;
                })
        .moe_layers;
  };
  EXPECT_THAT(layers(1, nullptr), ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(layers(2, Json::array()), ElementsAre(1, 3, 5));
  EXPECT_THAT(layers(2, {1}), ElementsAre(3, 5));
  EXPECT_THAT(error_with("qwen3_moe_tiny", "mlp_only_layers", {0, 1, 2}),
              HasSubstr("mlp_only_layers: got no layer with experts among 3"));
  EXPECT_THAT(error_with("qwen3_moe_tiny", "mlp_only_layers", {3}),
              HasSubstr("mlp_only_layers: got 3, wanted an integer from 0 to 2"));
}

TEST(Qwen3MoeConfig, Refusals) {
  const char* model = "qwen3_moe_tiny";
  EXPECT_THAT(error_with(model, "attention_bias", true), feature("attention_bias"));
  EXPECT_THAT(error_with(model, "use_sliding_window", true), feature("use_sliding_window"));
  EXPECT_THAT(error_with(model, "rope_scaling", {{"rope_type", "yarn"}, {"factor", 4.0}}),
              feature("rope_scaling.rope_type: got 'yarn'"));
  EXPECT_THAT(error_with(model, "quantization_config", {{"quant_method", "fp8"}}),
              feature("quantization_config"));
  EXPECT_THAT(error_with(model, "layer_types", {"full_attention", "sliding_attention"}),
              feature("layer_types: got \"sliding_attention\""));
  EXPECT_THAT(error_with(model, "head_dim", 31),
              HasSubstr("head_dim: got 31, wanted heads of an even"));
  // A window's size where none is used is what Qwen's own configs have.
  EXPECT_EQ(with(model, [](Json& json) { json["sliding_window"] = 4096; }).layers, 3);
  EXPECT_THAT(error_of([&] {
                with(model, [](Json& json) {
                  json["sliding_window"] = 4096;
                  json.erase("use_sliding_window");
                });
              }),
              feature("sliding_window"));
}

TEST(Qwen3MoeConfig, RefusesWhatChangesTheComputation) {
  const char* model = "qwen3_moe_tiny";
  EXPECT_THAT(error_with(model, "qkv_bias", true), feature("qkv_bias: got true"));
  EXPECT_THAT(error_with(model, "mlp_bias", true), feature("mlp_bias: got true"));
  EXPECT_THAT(error_with(model, "use_qk_norm", false), feature("use_qk_norm: got false"));
  EXPECT_THAT(error_with(model, "shared_expert_intermediate_size", 32),
              feature("shared_expert_intermediate_size: got 32"));
  EXPECT_THAT(error_with(model, "n_shared_experts", 1), feature("n_shared_experts: got 1"));
  EXPECT_THAT(error_with(model, "partial_rotary_factor", 0.5),
              feature("partial_rotary_factor: got 0.5"));
  EXPECT_THAT(error_with(model, "rope_parameters",
                         {{"rope_type", "default"}, {"partial_rotary_factor", 0.25}}),
              feature("rope_parameters.partial_rotary_factor: got 0.25"));
  // What these keys say where they ask for nothing is taken.
  const ModelConfig c = with(model, [](Json& json) {
    for (const char* key : {"qkv_bias", "mlp_bias"}) json[key] = false;
    json["use_qk_norm"] = true;
    json["shared_expert_intermediate_size"] = 0;
    json["n_shared_experts"] = nullptr;
    json["partial_rotary_factor"] = 1.0;
  });
  EXPECT_EQ(c.layers, 3);
}

TEST(FamiliesConfig, TheNormsEpsilonWhereItIsMissing) {
  const auto missing = [](const char* model) {
    return with(model, [](Json& json) { json.erase("rms_norm_eps"); }).rms_eps;
  };
  EXPECT_EQ(missing("olmoe_tiny"), 1e-5);
  EXPECT_EQ(missing("qwen3_moe_tiny"), 1e-6);
  EXPECT_EQ(missing("deepseek_v2_tiny"), 1e-6);
}

TEST(DeepseekV2Config, IsRead) {
  const ModelConfig c = read_model_config(data("deepseek_v2_tiny_q"));
  EXPECT_EQ(c.architecture, Architecture::kDeepseekV2);
  EXPECT_EQ(c.latent.query_rank, 24);
  EXPECT_EQ(c.latent.kv_rank, 32);
  EXPECT_EQ(c.latent.nope_dim, 16);
  EXPECT_EQ(c.latent.rope_dim, 8);
  EXPECT_EQ(c.latent.value_dim, 16);
  EXPECT_EQ(c.head_dim, 24);
  EXPECT_EQ(c.expert_groups, 4);
  EXPECT_EQ(c.chosen_groups, 2);
  EXPECT_EQ(c.routed_scale, 2.5);
  EXPECT_EQ(c.shared_width, 64);
  EXPECT_EQ(c.dense_width, 128);
  EXPECT_THAT(c.moe_layers, ElementsAre(1, 2));
  ASSERT_TRUE(c.yarn);
  EXPECT_EQ(c.yarn->factor, 40);
  EXPECT_EQ(c.yarn->original_positions, 4096);
  EXPECT_EQ(c.yarn->mscale_all_dim, 0.707);
  EXPECT_EQ(cache_elements(c), 40);
  const ModelConfig plain = read_model_config(data("deepseek_v2_tiny"));
  EXPECT_EQ(plain.latent.query_rank, 0);
  EXPECT_EQ(plain.expert_groups, 1);
}

TEST(DeepseekV2Config, PositionsInTheNewerPlace) {
  const ModelConfig c = with("deepseek_v2_tiny", [](Json& json) {
    Json rope = json["rope_scaling"];
    rope.erase("type");
    rope["rope_type"] = "yarn";
    rope["rope_theta"] = 5e5;
    json.erase("rope_scaling");
    json.erase("rope_theta");
    json["rope_parameters"] = rope;
  });
  EXPECT_EQ(c.rope_theta, 5e5);
  ASSERT_TRUE(c.yarn);
  EXPECT_EQ(c.yarn->factor, 40);
  EXPECT_FALSE(with("deepseek_v2_tiny", [](Json& json) { json.erase("rope_scaling"); }).yarn);
}

TEST(DeepseekV2Config, PositionsThatContradictEachOther) {
  const char* model = "deepseek_v2_tiny";
  EXPECT_THAT(error_with(model, "rope_parameters", {{"rope_type", "default"}}),
              AllOf(HasSubstr("config.json: rope_scaling: got {"), HasSubstr("\"yarn\""),
                    HasSubstr("wanted what rope_parameters says"), HasSubstr("contradict")));
  const auto edited = [&](const std::function<void(Json&)>& change) {
    return error_of([&] { with(model, change); });
  };
  EXPECT_THAT(edited([](Json& json) { json["rope_scaling"]["rope_type"] = "linear"; }),
              AllOf(HasSubstr("rope_scaling.type: got \"yarn\", wanted 'linear'"),
                    HasSubstr("contradict")));
  EXPECT_THAT(edited([](Json& json) {
                json["rope_parameters"] = json["rope_scaling"];
                json["rope_parameters"]["factor"] = 20;
              }),
              HasSubstr("rope_scaling: got {"));
  EXPECT_THAT(edited([](Json& json) { json["rope_scaling"]["rope_theta"] = 5e5; }),
              AllOf(HasSubstr("rope_scaling.rope_theta: got 500000"), HasSubstr("contradict")));
  // The same in both places, under the newer and the older name.
  const ModelConfig c = with(model, [](Json& json) {
    json["rope_parameters"] = json["rope_scaling"];
    json["rope_parameters"].erase("type");
    json["rope_parameters"]["rope_type"] = "yarn";
    json["rope_parameters"]["rope_theta"] = 10000;
  });
  ASSERT_TRUE(c.yarn);
  EXPECT_EQ(c.yarn->factor, 40);
}

TEST(DeepseekV2Config, Refusals) {
  const char* model = "deepseek_v2_tiny_q";
  EXPECT_THAT(error_with(model, "scoring_func", "sigmoid"), feature("scoring_func: got 'sigmoid'"));
  EXPECT_THAT(error_with(model, "topk_method", "noaux_tc"), feature("topk_method: got 'noaux_tc'"));
  EXPECT_THAT(error_with(model, "rope_scaling", {{"type", "dynamic"}, {"factor", 2.0}}),
              feature("rope_scaling.type: got 'dynamic'"));
  EXPECT_THAT(
      error_of([&] { with(model, [](Json& json) { json["rope_scaling"]["truncate"] = false; }); }),
      feature("rope_scaling.truncate: got false"));
  EXPECT_THAT(error_with(model, "norm_topk_prob", true), feature("routed_scaling_factor"));
  EXPECT_THAT(error_with(model, "n_group", 3),
              HasSubstr("n_group: got 3, wanted a divisor of n_routed_experts (8)"));
  EXPECT_THAT(error_with(model, "topk_group", 5),
              HasSubstr("topk_group: got 5, wanted at most n_group (4)"));
  EXPECT_THAT(error_with(model, "topk_group", 1),
              HasSubstr("num_experts_per_tok: got 3, wanted at most the experts of the chosen "
                        "groups (2)"));
  EXPECT_THAT(error_with(model, "qk_rope_head_dim", 7), HasSubstr("qk_rope_head_dim: got 7"));
  EXPECT_THAT(error_with(model, "first_k_dense_replace", 3),
              HasSubstr("first_k_dense_replace: got no layer with experts"));
  for (const char* key : {"kv_lora_rank", "qk_nope_head_dim", "v_head_dim", "n_routed_experts",
                          "moe_intermediate_size", "intermediate_size"})
    EXPECT_THAT(error_of([&] { with(model, [&](Json& json) { json.erase(key); }); }),
                HasSubstr(std::string(key) + ": got nothing"));
  EXPECT_THAT(
      error_with(model, "rope_scaling",
                 {{"type", "yarn"}, {"factor", 0}, {"original_max_position_embeddings", 8}}),
      HasSubstr("rope_scaling.factor: got 0"));
}

// Routing that differs gives another fingerprint, so that plans do not pass from one to the other.
TEST(Fingerprint, TellsRoutingSettingsApart) {
  const auto of = [](const std::function<void(Json&)>& change) {
    const ModelFolder folder(data("deepseek_v2_tiny_q"));
    folder.edit_json("config.json", change);
    Checkpoint checkpoint(folder.path());
    return fingerprint(checkpoint, read_model_config(folder.path()));
  };
  const std::string as_is = of([](Json&) {});
  EXPECT_NE(of([](Json& json) { json["topk_group"] = 3; }), as_is);
  EXPECT_NE(of([](Json& json) { json["routed_scaling_factor"] = 1.0; }), as_is);
  EXPECT_EQ(of([](Json& json) { json["torch_dtype"] = "float32"; }), as_is);
}

}  // namespace
}  // namespace gracemoe
