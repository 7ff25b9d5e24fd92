#include "model/generation_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "model/model_folder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

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
  EXPECT_EQ(error({{"num_beams", 1}, {"typical_p", 1.0}}), "");
}

}  // namespace
}  // namespace gracemoe
