#include "study/ladder_study.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::string> names_of(const std::vector<LadderSpec>& rows) {
  std::vector<std::string> names;
  for (const LadderSpec& row : rows) names.push_back(row.name);
  return names;
}

std::string message_of(const std::function<void()>& act) {
  try {
    act();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(LadderRows, AllInOrder) {
  EXPECT_THAT(names_of(choose_ladder_rows("all")),
              ElementsAre("vanilla", "dedup", "eplb", "c2r", "occult", "occult+hsc", "hg+hsc",
                          "fr+wrr", "dr+wrr", "grace", "grace+", "grace+overlap", "grace+packed"));
  EXPECT_EQ(choose_ladder_rows("").size(), choose_ladder_rows("all").size());
}

TEST(LadderRows, ChosenOnesInTheListsOrder) {
  EXPECT_THAT(names_of(choose_ladder_rows("grace+,vanilla")), ElementsAre("grace+", "vanilla"));
}

TEST(LadderRows, NeighboursDifferInOneThing) {
  const auto rows = choose_ladder_rows("occult,occult+hsc,dr+wrr,grace");
  EXPECT_EQ(describe(rows[0].placement), describe(rows[1].placement));
  EXPECT_EQ(rows[0].routing, rows[1].routing);
  EXPECT_NE(rows[0].exchange, rows[1].exchange);
  EXPECT_EQ(describe(rows[2].placement), describe(rows[3].placement));
  EXPECT_EQ(rows[2].exchange, rows[3].exchange);
  EXPECT_NE(rows[2].routing, rows[3].routing);
}

TEST(LadderRows, TheLastOnesDifferInOverlapAndPackingAlone) {
  const auto rows = choose_ladder_rows("grace+,grace+overlap,grace+packed");
  for (const LadderSpec& row : rows) {
    EXPECT_EQ(describe(row.placement), describe(rows[0].placement));
    EXPECT_EQ(row.routing, rows[0].routing);
    EXPECT_EQ(row.exchange, rows[0].exchange);
  }
  EXPECT_NE(rows[0].overlap, rows[1].overlap);
  EXPECT_EQ(rows[0].packing, rows[1].packing);
  EXPECT_EQ(rows[1].overlap, rows[2].overlap);
  EXPECT_EQ(rows[2].packing, Packing::kAll);
}

TEST(LadderRows, WrongNamesAreRefused) {
  EXPECT_THAT(message_of([] { choose_ladder_rows("vanilla,tutel"); }),
              testing::AllOf(HasSubstr("got 'tutel'"), HasSubstr("occult+hsc, hg+hsc")));
  EXPECT_THAT(message_of([] { choose_ladder_rows("grace,grace"); }),
              HasSubstr("'grace' twice, wanted each row once"));
}

Completion completion(std::uint64_t id, std::vector<int> tokens) {
  Completion c;
  c.id = id;
  c.tokens = std::move(tokens);
  return c;
}

TEST(SameCompletions, EqualOnesPass) {
  const std::vector<Completion> all{completion(0, {1, 2}), completion(1, {})};
  EXPECT_NO_THROW(check_same_completions("a", all, "b", all));
}

TEST(SameCompletions, TheFirstDifferenceIsTold) {
  const std::vector<Completion> want{completion(0, {1, 2}), completion(7, {3, 4, 5})};
  EXPECT_THAT(message_of([&] {
                check_same_completions("vanilla", want, "grace",
                                       {completion(0, {1, 2}), completion(7, {3, 9, 5})});
              }),
              HasSubstr("rows vanilla and grace of the ladder: generated token 1 of request 7: got "
                        "token 9, wanted token 4"));
  EXPECT_THAT(message_of([&] {
                check_same_completions("vanilla", want, "grace",
                                       {completion(0, {1, 2}), completion(7, {3, 4})});
              }),
              HasSubstr("got the end after 2 tokens, wanted token 5"));
  EXPECT_THAT(
      message_of([&] {
        check_same_completions("vanilla", want, "grace", {completion(0, {1, 2, 3}), want[1]});
      }),
      HasSubstr("got token 3, wanted the end after 2 tokens"));
  EXPECT_THAT(message_of([&] {
                check_same_completions("vanilla", want, "grace", {completion(0, {1, 2})});
              }),
              HasSubstr("got 1 completions, wanted 2"));
}

}  // namespace
}  // namespace gracemoe
