#include "interop/layer_numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(LayerList, ReadsAndWrites) {
  EXPECT_THAT(parse_layer_list("3-5"), ElementsAre(3, 4, 5));
  EXPECT_THAT(parse_layer_list("1,3,5-7,9"), ElementsAre(1, 3, 5, 6, 7, 9));
  for (const char* text : {"0", "3-60", "1,3,5-7", "2-3,5"})
    EXPECT_EQ(layer_list_text(parse_layer_list(text)), text);
  for (const char* text : {"", "3-", "-3", "5-3", "3,3", "3-5,4", "a", "1,,2", "4096", "1;2"})
    EXPECT_THAT(error_of([&] { parse_layer_list(text); }, ErrorCategory::kUsage),
                HasSubstr("such as 3-60 or 1,3,5-7"))
        << text;
}

TEST(ChooseRows, TheUsersChoiceElseWhatIsNotZero) {
  EXPECT_THAT(choose_rows({}, 3, {}, "f").absolute, ElementsAre(0, 1, 2));
  EXPECT_THAT(choose_rows({}, 3, {false, true, true}, "f").absolute, ElementsAre(1, 2));
  EXPECT_THAT(choose_rows({.moe_layers = {0, 2}}, 3, {false, true, true}, "f").absolute,
              ElementsAre(0, 2));
  EXPECT_THAT(choose_rows({.moe_layers = {}, .first_dense = 1}, 3, {}, "f").absolute,
              ElementsAre(1, 2));
  EXPECT_EQ(choose_rows({}, 3, {}, "f").hidden, 3);
}

TEST(ChooseRows, Refuses) {
  EXPECT_THAT(error_of([] { choose_rows({.moe_layers = {3}}, 3, {}, "f"); }, ErrorCategory::kUsage),
              HasSubstr("got layer 3, wanted layers below 3"));
  EXPECT_THAT(error_of([] {
                choose_rows({}, 2, {false, false}, "f");
              }),
              HasSubstr("no MoE layer among them"));
  EXPECT_THAT(error_of([] { choose_rows({}, kMaxHiddenLayers + 1, {}, "f"); }),
              HasSubstr("at most 4096"));
}

TEST(NumbersToWrite, TheUsersElseTheSourcesElseFromZero) {
  EXPECT_THAT(numbers_to_write({}, {}, 2).absolute, ElementsAre(0, 1));
  EXPECT_EQ(numbers_to_write({}, {}, 2).hidden, 2);
  const LayerNumbers source{{3, 4}, 0};
  EXPECT_THAT(numbers_to_write({}, source, 2).absolute, ElementsAre(3, 4));
  EXPECT_EQ(numbers_to_write({}, source, 2).hidden, 5);
  EXPECT_THAT(numbers_to_write({.moe_layers = {1, 5}}, source, 2).absolute, ElementsAre(1, 5));
  EXPECT_EQ(numbers_to_write({.moe_layers = {}, .first_dense = 1, .hidden = 9}, {}, 2),
            (LayerNumbers{{1, 2}, 9}));
}

TEST(NumbersToWrite, Refuses) {
  const auto error = [](const LayerChoice& choice, int layers) {
    return error_of([&] { numbers_to_write(choice, {}, layers); }, ErrorCategory::kUsage);
  };
  EXPECT_THAT(error({.moe_layers = {1}}, 2), HasSubstr("got 1 numbers, wanted 2"));
  EXPECT_THAT(error({.moe_layers = {1, 5}, .first_dense = 0, .hidden = 5}, 2),
              HasSubstr("at least 6"));
  EXPECT_THAT(error({.moe_layers = {}, .first_dense = 4096}, 2), HasSubstr("at most 4096"));
}

}  // namespace
}  // namespace gracemoe
