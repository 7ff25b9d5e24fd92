#include "engine/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "support/error_of.h"

namespace gracemoe {
namespace {

SamplingOptions sampled(double temperature, int top_k = 0, double top_p = 1) {
  return {temperature, top_k, top_p, 7};
}

std::map<int, double> frequencies(const SamplingOptions& options, const std::vector<float>& logits,
                                  int draws) {
  std::map<int, double> share;
  for (int i = 0; i < draws; ++i)
    share[sample(options, logits, 3, static_cast<std::uint64_t>(i))] += 1.0 / draws;
  return share;
}

TEST(Sampler, GreedyTakesTheFirstOfTheLargest) {
  EXPECT_EQ(sample({}, std::vector<float>{1, 5, 5, 2}, 0, 0), 1);
}

TEST(Sampler, FrequenciesFollowTheSoftmax) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  auto share = frequencies(sampled(1), logits, 40000);  // standard error of a share below 0.0025
  EXPECT_NEAR(share[0], 0.5, 0.0125);
  EXPECT_NEAR(share[1], 0.3, 0.0125);
  EXPECT_NEAR(share[2], 0.2, 0.0125);
}

TEST(Sampler, TemperatureSharpens) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  auto share = frequencies(sampled(0.5), logits, 40000);  // squares: 25, 9, 4 of 38
  EXPECT_NEAR(share[0], 25.0 / 38, 0.0125);
}

TEST(Sampler, TopKKeepsTheLikeliest) {
  auto share = frequencies(sampled(1, 2), {0, 1, 2, 3}, 4000);
  EXPECT_EQ(share.size(), 2u);
  EXPECT_TRUE(share.contains(3) && share.contains(2));
}

TEST(Sampler, TopPKeepsTheSmallestSetThatReachesIt) {
  const std::vector<float> logits{std::log(0.2f), std::log(0.5f), std::log(0.3f)};
  auto share = frequencies(sampled(1, 0, 0.6), logits, 4000);  // 0.5 is not enough, 0.5 + 0.3 is
  EXPECT_EQ(share.size(), 2u);
  EXPECT_FALSE(share.contains(0));
}

TEST(Sampler, TheDrawDependsOnSeedRequestAndPositionOnly) {
  const std::vector<float> logits(50, 1.0f);
  const int first = sample(sampled(1), logits, 4, 9);
  EXPECT_EQ(sample(sampled(1), logits, 4, 9), first);
  std::map<int, int> seen;
  for (std::uint64_t request = 0; request < 20; ++request)
    ++seen[sample(sampled(1), logits, request, 9)];
  EXPECT_GT(seen.size(), 5u);
}

TEST(Sampler, MinPKeepsWhatIsLikelyAgainstTheLikeliest) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.3f), std::log(0.2f)};
  SamplingOptions options = sampled(1);
  options.min_p = 0.5;  // 0.3 of 0.5 is more, 0.2 of it less
  auto share = frequencies(options, logits, 4000);
  EXPECT_EQ(share.size(), 2u);
  EXPECT_FALSE(share.contains(2));
  options.min_p = 1;
  EXPECT_EQ(frequencies(options, logits, 100).size(), 1u);
}

std::vector<float> penalised(const SamplingOptions& options, const std::vector<float>& logits) {
  std::vector<float> buffer;
  const std::vector<int> prompt{0, 0, 99}, answer{1, 2, 2};
  const auto result = penalise(options, logits, prompt, answer, buffer);
  return {result.begin(), result.end()};
}

TEST(Sampler, RepetitionPenaltyIsForPromptAndAnswer) {
  const std::vector<float> logits{2, -2, 0, 4};
  EXPECT_EQ(penalised({.repetition_penalty = 2}, logits), (std::vector<float>{1, -4, 0, 4}));
}

TEST(Sampler, PresenceAndFrequencyPenaltiesAreForTheAnswer) {
  const std::vector<float> logits{2, -2, 0, 4};
  EXPECT_EQ(penalised({.presence_penalty = 0.5}, logits), (std::vector<float>{2, -2.5, -0.5, 4}));
  EXPECT_EQ(penalised({.frequency_penalty = 0.5}, logits), (std::vector<float>{2, -2.5, -1, 4}));
  EXPECT_EQ(penalised({}, logits), logits);
}

TEST(Sampler, LogprobsAreOfThePlainSoftmax) {
  const std::vector<float> logits{std::log(0.5f), std::log(0.25f), std::log(0.25f)};
  const TokenLogprobs one = logprobs_of(logits, 2, 2);
  EXPECT_NEAR(one.chosen, std::log(0.25), 1e-6);
  EXPECT_EQ(one.ids, (std::vector<int>{0, 1}));
  EXPECT_NEAR(one.logprob[0], std::log(0.5), 1e-6);
  EXPECT_TRUE(logprobs_of(logits, 0, 0).ids.empty());
  EXPECT_EQ(logprobs_of(logits, 0, 100).ids.size(), 3u);
}

TEST(Sampler, RefusesBadPenalties) {
  const auto error = [](const SamplingOptions& options) {
    return error_of([&] { check_sampling(options); }, ErrorCategory::kUsage);
  };
  EXPECT_NE(error({.min_p = 2}).find("min-p"), std::string::npos);
  EXPECT_NE(error({.repetition_penalty = 0}).find("repetition-penalty"), std::string::npos);
  EXPECT_NE(error({.presence_penalty = 1e9}).find("presence-penalty"), std::string::npos);
  EXPECT_NE(error({.frequency_penalty = -1e9}).find("frequency-penalty"), std::string::npos);
}

TEST(Sampler, RefusesBadOptionsAndLogits) {
  EXPECT_NE(error_of(
                [] {
                  check_sampling({-1, 0, 1, 0});
                },
                ErrorCategory::kUsage)
                .find("temperature"),
            std::string::npos);
  EXPECT_NE(error_of(
                [] {
                  check_sampling({1, -2, 1, 0});
                },
                ErrorCategory::kUsage)
                .find("top-k"),
            std::string::npos);
  EXPECT_NE(error_of(
                [] {
                  check_sampling({1, 0, 0, 0});
                },
                ErrorCategory::kUsage)
                .find("top-p"),
            std::string::npos);
  const std::vector<float> bad{0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_NE(error_of([&] { sample({}, bad, 0, 0); }).find("not a number"), std::string::npos);
}

}  // namespace
}  // namespace gracemoe
