#include "engine/router.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "support/error_of.h"

namespace gracemoe {
namespace {

TEST(Router, TakesTheLargestInFallingOrderWithTheirSoftmaxProbabilities) {
  const std::vector<float> logits{0.0f, std::log(4.0f), std::log(2.0f),
                                  std::log(1.0f)};  // probabilities 1/8, 4/8, 2/8, 1/8
  RouterChoice choice;
  choose_experts({4, 2, false}, logits, 1, choice);
  EXPECT_EQ(choice.expert, (std::vector<std::uint16_t>{1, 2}));
  EXPECT_NEAR(choice.weight[0], 0.5f, 1e-6f);
  EXPECT_NEAR(choice.weight[1], 0.25f, 1e-6f);
}

TEST(Router, NormalisedWeightsSumToOne) {
  const std::vector<float> logits{0.0f, std::log(4.0f), std::log(2.0f), std::log(1.0f)};
  RouterChoice choice;
  choose_experts({4, 2, true}, logits, 1, choice);
  EXPECT_NEAR(choice.weight[0], 2.0f / 3, 1e-6f);
  EXPECT_NEAR(choice.weight[1], 1.0f / 3, 1e-6f);
}

TEST(Router, OfEqualsTheLowerIdComesFirst) {
  RouterChoice choice;
  choose_experts({4, 3, false}, std::vector<float>{1, 1, 1, 1}, 1, choice);
  EXPECT_EQ(choice.expert, (std::vector<std::uint16_t>{0, 1, 2}));
}

TEST(Router, RowsAreIndependent) {
  const std::vector<float> a{1, 2, 3}, b{3, 2, 1}, both{1, 2, 3, 3, 2, 1};
  RouterChoice one, two, together;
  choose_experts({3, 2, false}, a, 1, one);
  choose_experts({3, 2, false}, b, 1, two);
  choose_experts({3, 2, false}, both, 2, together);
  EXPECT_EQ(together.weight,
            (std::vector<float>{one.weight[0], one.weight[1], two.weight[0], two.weight[1]}));
  EXPECT_EQ(together.expert, (std::vector<std::uint16_t>{2, 1, 0, 1}));
}

TEST(Router, OnlyTheBestGroupsAreChosenFrom) {
  // Groups {0,1} {2,3} {4,5}; their best probabilities: of experts 1, 2, 5.
  const std::vector<float> logits{1, 5, 6, 0, 4, 4.5F};
  RouterOptions options{6, 2, false};
  options.groups = 3;
  options.chosen_groups = 1;
  RouterChoice choice;
  choose_experts(options, logits, 1, choice);
  EXPECT_EQ(choice.expert, (std::vector<std::uint16_t>{2, 3}));  // 1 is likelier than 3
  options.chosen_groups = 2;
  options.top_k = 3;
  choose_experts(options, logits, 1, choice);
  EXPECT_EQ(choice.expert, (std::vector<std::uint16_t>{2, 1, 0}));  // not 4 nor 5
  options.chosen_groups = 3;
  choose_experts(options, logits, 1, choice);
  EXPECT_EQ(choice.expert, (std::vector<std::uint16_t>{2, 1, 5}));
}

TEST(Router, EqualGroupsGoByNumber) {
  RouterOptions options{4, 2, false};
  options.groups = 2;
  options.chosen_groups = 1;
  RouterChoice choice;
  choose_experts(options, std::vector<float>{1, 1, 1, 1}, 1, choice);
  EXPECT_EQ(choice.expert, (std::vector<std::uint16_t>{0, 1}));
}

TEST(Router, TheFactorScalesWeights) {
  const std::vector<float> logits{0.0f, std::log(4.0f), std::log(2.0f), std::log(1.0f)};
  RouterOptions options{4, 2, false};
  options.scale = 2.5F;
  RouterChoice choice;
  choose_experts(options, logits, 1, choice);
  EXPECT_NEAR(choice.weight[0], 1.25f, 1e-6f);
  EXPECT_NEAR(choice.weight[1], 0.625f, 1e-6f);
}

TEST(Router, NoRowsGiveNoChoice) {
  RouterChoice choice;
  choose_experts({3, 2, false}, {}, 0, choice);
  EXPECT_TRUE(choice.expert.empty());
}

TEST(Router, RefusesLogitsThatAreNotNumbers) {
  RouterChoice choice;
  const std::vector<float> logits{0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_NE(error_of([&] {
              choose_experts({2, 1, false}, logits, 1, choice);
            }).find("not finite"),
            std::string::npos);
  RouterOptions options{2, 1, false};
  options.layer = 7;
  EXPECT_EQ(error_of([&] {
              choose_experts(options, logits, 1, choice);
            }).find("router logits of layer 7: got a value that is not finite"),
            0U);
}

}  // namespace
}  // namespace gracemoe
