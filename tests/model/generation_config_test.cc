#include "model/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "model/model_folder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

GenerationConfig read(const Json& json) {
  const ModelFolder model;
  write_file(model / "generation_config.json", json.dump());
  return read_generation_config(model.path());
}

TEST(GenerationConfig, SamplesAsItSays) {
  const GenerationConfig config = read({{"do_sample", true},
                                        {"temperature", 0.6},
                                        {"top_k", 20},
                                        {"top_p", 0.95},
                                        {"min_p", 0.05},
                                        {"repetition_penalty", 1.05},
                                        {"max_new_tokens", 2048},
                                        {"eos_token_id", {1, 2}}});
  EXPECT_EQ(config.temperature, 0.6);
  EXPECT_EQ(config.top_k, 20);
  EXPECT_EQ(config.top_p, 0.95);
  EXPECT_EQ(config.min_p, 0.05);
  EXPECT_EQ(config.repetition_penalty, 1.05);
  EXPECT_EQ(config.max_new_tokens, 2048);
}

TEST(GenerationConfig, SamplingWithoutATemperatureIsAtOne) {
  EXPECT_EQ(read({{"do_sample", true}}).temperature, 1);
}

TEST(GenerationConfig, GreedyWithoutDoSample) {
  const GenerationConfig config = read({{"do_sample", false}, {"temperature", 0.6}, {"top_k", 5}});
  EXPECT_EQ(config.temperature, 0);
  EXPECT_FALSE(config.top_k.has_value());
  EXPECT_FALSE(read({{"eos_token_id", 1}}).temperature.has_value());
}

TEST(GenerationConfig, MayBeMissing) {
  const ModelFolder model;
  model.remove("generation_config.json");
  EXPECT_FALSE(read_generation_config(model.path()).temperature.has_value());
}

TEST(GenerationConfig, Refuses) {
  const auto error = [](const Json& json) { return error_of([&] { read(json); }); };
  EXPECT_THAT(error({{"num_beams", 4}}),
              HasSubstr("generation_config.json: num_beams: got 4, wanted it switched off"));
  EXPECT_THAT(error({{"penalty_alpha", 0.6}}), HasSubstr("penalty_alpha: got 0.6"));
  EXPECT_THAT(error({{"do_sample", true}, {"top_p", 1.5}}), HasSubstr("top_p: got 1.5"));
  EXPECT_THAT(error({{"do_sample", true}, {"temperature", "hot"}}), HasSubstr("wanted a number"));
  EXPECT_THAT(error({{"repetition_penalty", 0}}), HasSubstr("repetition_penalty: got 0"));
  EXPECT_THAT(error({{"max_new_tokens", 0}}), HasSubstr("max_new_tokens: got 0"));
  const std::string advice = "; correct it there, or remove it";
  EXPECT_THAT(error({{"repetition_penalty", -1}}), HasSubstr(advice));
  EXPECT_THAT(error({{"stop_strings", {1}}}), HasSubstr("a list of texts" + advice));
  EXPECT_THAT(error({{"do_sample", 3}}), HasSubstr("got 3, wanted true or false; check that"));
  EXPECT_THAT(error({{"max_new_tokens", {5}}}), HasSubstr("from 1 to 1048576; check that"));
  EXPECT_THAT(error(Json::array({5})),
              HasSubstr("got a list of 1, wanted a JSON object; check that it is the right file"));
  EXPECT_EQ(error({{"num_beams", 1}, {"typical_p", 1.0}}), "");
}

TEST(GenerationConfig, RefusesWhatWouldForceOrForbidTokens) {
  const std::map<std::string, Json> on{{"min_new_tokens", 5},
                                       {"min_length", 5},
                                       {"bad_words_ids", {{7}}},
                                       {"suppress_tokens", {1, 2}},
                                       {"begin_suppress_tokens", {1}},
                                       {"sequence_bias", {{{7}, -10.0}}},
                                       {"encoder_repetition_penalty", 1.2},
                                       {"forced_eos_token_id", 2},
                                       {"epsilon_cutoff", 3e-4},
                                       {"eta_cutoff", 3e-4},
                                       {"dola_layers", "high"},
                                       {"watermarking_config", {{"bias", 2.0}}}};
  for (const auto& [key, value] : on)
    EXPECT_THAT(error_of([&, &key = key, &value = value] {
                  read({{key, value}});
                }),
                AllOf(HasSubstr("generation_config.json: " + key + ": got "),
                      HasSubstr("wanted it switched off")));
  // As transformers writes them where nobody asked.
  EXPECT_EQ(error_of([] {
              read({{"min_new_tokens", nullptr},
                    {"min_length", 0},
                    {"bad_words_ids", nullptr},
                    {"suppress_tokens", Json::array()},
                    {"sequence_bias", nullptr},
                    {"encoder_repetition_penalty", 1.0},
                    {"forced_eos_token_id", nullptr},
                    {"epsilon_cutoff", 0.0},
                    {"eta_cutoff", 0.0},
                    {"num_beam_groups", 1},
                    {"dola_layers", nullptr},
                    {"watermarking_config", nullptr}});
            }),
            "");
}

TEST(GenerationConfig, StopStrings) {
  EXPECT_THAT(read({{"stop_strings", {"\nUser:", "END"}}}).stop_strings,
              ElementsAre("\nUser:", "END"));
  EXPECT_THAT(read({{"stop_strings", "END"}}).stop_strings, ElementsAre("END"));
  EXPECT_TRUE(read({{"stop_strings", nullptr}}).stop_strings.empty());
  for (const Json& bad : {Json(""), Json(3), Json({"x", 3})})
    EXPECT_THAT(error_of([&] { read({{"stop_strings", bad}}); }), HasSubstr("stop_strings: got "));
}

}  // namespace
}  // namespace gracemoe
