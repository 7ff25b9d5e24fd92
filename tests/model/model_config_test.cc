#include "model/model_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/model_folder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The configuration after a change of config.json.
ModelConfig with(const std::function<void(Json&)>& change) {
  const ModelFolder model;
  model.edit_json("config.json", change);
  return read_model_config(model.path());
}

std::string error_with(const std::function<void(Json&)>& change) {
  return error_of([&] { with(change); });
}

std::string error_with(const std::string& key, const Json& value) {
  return error_with([&](Json& json) { json[key] = value; });
}

TEST(ModelConfig, ReadsTheDemoModel) {
  const ModelConfig config = read_model_config(demo_model());
  EXPECT_EQ(config.architecture, Architecture::kOlmoe);
  EXPECT_EQ(config.architecture_name, "OlmoeForCausalLM");
  EXPECT_EQ(config.vocab, 4096);
  EXPECT_EQ(config.hidden, 256);
  EXPECT_EQ(config.layers, 4);
  EXPECT_EQ(config.heads, 8);
  EXPECT_EQ(config.kv_heads, 8);
  EXPECT_EQ(config.head_dim, 32);
  EXPECT_EQ(config.max_positions, 1024);
  EXPECT_EQ(config.rms_eps, 1e-5);
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_FALSE(config.tied_embeddings);
  EXPECT_EQ(config.experts, 64);
  EXPECT_EQ(config.top_k, 8);
  EXPECT_EQ(config.expert_width, 64);
  EXPECT_FALSE(config.normalize_top_k);
  EXPECT_THAT(config.moe_layers, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(config.eos_tokens, ElementsAre(0));
}

TEST(ModelConfig, DefaultsOfAbsentKeys) {
  const ModelConfig config = with([](Json& json) {
    for (const char* key : {"rope_theta", "rms_norm_eps", "num_key_value_heads", "hidden_act",
                            "tie_word_embeddings", "norm_topk_prob"}) {
      json.erase(key);
    }
  });
  EXPECT_EQ(config.rope_theta, 10000);
  EXPECT_EQ(config.rms_eps, 1e-5);
  EXPECT_EQ(config.kv_heads, config.heads);
  EXPECT_FALSE(config.normalize_top_k);
}

TEST(ModelConfig, RopeThetaInTheNewerPlace) {
  const ModelConfig config = with([](Json& json) {
    json.erase("rope_theta");
    json["rope_parameters"] = {{"rope_type", "default"}, {"rope_theta", 5e5}};
  });
  EXPECT_EQ(config.rope_theta, 5e5);
  EXPECT_THAT(error_with("rope_parameters", {{"rope_type", "yarn"}}),
              AllOf(HasSubstr("rope_parameters.rope_type: got 'yarn'"), HasSubstr("feature")));
}

TEST(ModelConfig, EndOfSequence) {
  const auto eos = [](const Json& in_config, const Json& in_generation) {
    const ModelFolder model;
    model.edit_json("config.json", [&](Json& json) { json["eos_token_id"] = in_config; });
    model.edit_json("generation_config.json",
                    [&](Json& json) { json["eos_token_id"] = in_generation; });
    return read_model_config(model.path()).eos_tokens;
  };
  EXPECT_THAT(eos(3, 4), ElementsAre(4));
  EXPECT_THAT(eos(3, nullptr), ElementsAre(3));
  EXPECT_THAT(eos({3, 5, 3}, nullptr), ElementsAre(3, 5));
  EXPECT_THAT(eos(nullptr, nullptr), IsEmpty());
  EXPECT_THAT(error_of([&] { eos(3, 320); }),
              AllOf(HasSubstr("generation_config.json: eos_token_id"), HasSubstr("320"),
                    HasSubstr("from 0 to 319")));
  EXPECT_THAT(error_of([&] { eos({1, "x"}, nullptr); }), HasSubstr("eos_token_id: got \"x\""));

  const ModelFolder model;
  model.remove("generation_config.json");
  EXPECT_THAT(read_model_config(model.path()).eos_tokens, ElementsAre(314));
}

TEST(ModelConfig, UnknownArchitectureListsTheKnown) {
  EXPECT_THAT(error_with("architectures", {"MixtralForCausalLM"}),
              AllOf(HasSubstr("architectures"), HasSubstr("MixtralForCausalLM"),
                    HasSubstr("OlmoeForCausalLM"), HasSubstr("not known")));
  EXPECT_THAT(error_with("architectures", Json::array()), HasSubstr("got a list of 0"));
  EXPECT_THAT(error_with([](Json& json) { json.erase("architectures"); }),
              HasSubstr("architectures: got nothing"));
  EXPECT_THAT(known_architectures(), testing::Contains("OlmoeForCausalLM"));
}

TEST(ModelConfig, FeaturesThatAreMissingAreRefusedByName) {
  const auto feature = [](const std::string& key) {
    return AllOf(HasSubstr("config.json: " + key), HasSubstr("feature"));
  };
  EXPECT_THAT(error_with("clip_qkv", 8.0), feature("clip_qkv"));
  EXPECT_THAT(error_with("rope_scaling", {{"type", "linear"}, {"factor", 2.0}}),
              feature("rope_scaling"));
  EXPECT_THAT(error_with("attention_bias", true), feature("attention_bias"));
  EXPECT_THAT(error_with("use_sliding_window", true), feature("use_sliding_window"));
  EXPECT_THAT(error_with("quantization_config", {{"quant_method", "gptq"}}),
              feature("quantization_config"));
  EXPECT_THAT(error_with("hidden_act", "gelu"), feature("hidden_act"));
  EXPECT_THAT(error_with("mlp_bias", true), feature("mlp_bias"));
  EXPECT_THAT(error_with("head_dim", 32), feature("head_dim: got 32"));
  EXPECT_EQ(with([](Json& json) { json["head_dim"] = 16; }).head_dim, 16);
}

TEST(ModelConfig, BadValuesNameTheKey) {
  for (const char* key :
       {"vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
        "max_position_embeddings", "num_experts", "num_experts_per_tok", "intermediate_size"}) {
    const std::string name = "config.json: " + std::string(key);
    EXPECT_THAT(error_with([&](Json& json) { json.erase(key); }),
                HasSubstr(name + ": got nothing"));
    for (const Json& bad : {Json(0), Json(-1), Json(1'000'000'000'000), Json(1.5), Json("8")}) {
      EXPECT_THAT(error_with(key, bad), HasSubstr(name + ": got " + bad.dump()));
    }
  }
  EXPECT_THAT(error_with("rms_norm_eps", 0), HasSubstr("rms_norm_eps"));
  EXPECT_THAT(error_with("rope_theta", -1), HasSubstr("rope_theta"));
  EXPECT_THAT(error_with("norm_topk_prob", 1), HasSubstr("norm_topk_prob: got 1"));
}

TEST(ModelConfig, InconsistentValues) {
  EXPECT_THAT(error_with("num_attention_heads", 5),
              HasSubstr("hidden_size: got 64, wanted a multiple of num_attention_heads (5)"));
  EXPECT_THAT(error_with("num_key_value_heads", 3),
              HasSubstr("num_key_value_heads: got 3, wanted a divisor of num_attention_heads (4)"));
  EXPECT_THAT(error_with("num_experts_per_tok", 9),
              HasSubstr("num_experts_per_tok: got 9, wanted at most the number of experts (8)"));
  EXPECT_THAT(error_with([](Json& json) {
                json["hidden_size"] = 20;
                json["num_attention_heads"] = 4;
              }),
              HasSubstr("heads of an even width, not 5"));
}

TEST(ModelConfig, FilesThatAreNotThereOrNotJson) {
  const ModelFolder model;
  write_file(model / "config.json", "{\n\"a\": 1,\n}");
  EXPECT_THAT(error_of([&] { read_model_config(model.path()); }),
              AllOf(HasSubstr("config.json: not valid JSON at line 3, column 1")));
  write_file(model / "config.json", "[1]");
  EXPECT_THAT(error_of([&] { read_model_config(model.path()); }),
              HasSubstr("config.json: got a list of 1, wanted a JSON object; check that it is"));
  model.remove("config.json");
  EXPECT_THAT(
      error_of([&] { read_model_config(model.path()); }),
      AllOf(HasSubstr("config.json: got no such file"), HasSubstr("complete Hugging Face")));
  EXPECT_THAT(error_of([&] { read_model_config(model / "none"); }), HasSubstr("no such folder"));
}

}  // namespace
}  // namespace gracemoe
