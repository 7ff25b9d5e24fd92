#include "report/ladder_rounds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "metrics/sample_runs.h"

namespace gracemoe {
namespace {

using ::testing::HasSubstr;

// Three rounds of three rows; all-to-all is 3/8 of end to end in each.
LadderRounds three_rounds() {
  LadderRounds ladder;
  ladder.rows = {{sample_run("vanilla", 8), sample_run("vanilla", 16), sample_run("vanilla", 9)},
                 {sample_run("occult", 4), sample_run("occult", 10), sample_run("occult", 6)},
                 {sample_run("grace", 2), sample_run("grace", 4), sample_run("grace", 3)}};
  for (RunStatistics& run : ladder.rows[2]) run.layers[0][0].dispatch_payload.cross_node = 250'000;
  return ladder;
}

TEST(LadderRounds, TheTypicalRunIsTheMedianOne) {
  const auto runs = typical_runs(three_rounds());
  EXPECT_EQ(runs[0].end_to_end_s, 9);
  EXPECT_EQ(runs[1].end_to_end_s, 6);
  EXPECT_EQ(runs[2].end_to_end_s, 3);
}

TEST(LadderRounds, RatiosAreMediansOfTheRounds) {
  const auto rows = make_rounds_rows(three_rounds());
  EXPECT_DOUBLE_EQ(rows[0].against_vanilla, 1);
  EXPECT_DOUBLE_EQ(rows[2].against_vanilla, 4);    // of 4, 4, 3
  EXPECT_DOUBLE_EQ(rows[2].against_occult, 2);     // of 2, 2.5, 2
  EXPECT_DOUBLE_EQ(rows[1].against_vanilla, 1.6);  // of 2, 1.6, 1.5
  EXPECT_EQ(rows[2].fastest_s, 2);
  EXPECT_EQ(rows[2].slowest_s, 4);
  EXPECT_DOUBLE_EQ(rows[1].exchange_share, 0.375);
  EXPECT_DOUBLE_EQ(rows[2].cross_node_change, -0.5);
}

TEST(LadderRounds, TheBoundIsTheBusiestLinksBytesAtTheLineRate) {
  LadderRounds ladder = three_rounds();
  EXPECT_EQ(make_rounds_rows(ladder)[0].bound_s, 0);
  EXPECT_EQ(make_rounds_rows(ladder)[0].over_bound, 0);
  ladder.link_bits_per_s = 10e6;
  const auto rows = make_rounds_rows(ladder);
  EXPECT_DOUBLE_EQ(rows[0].bound_s, 1.6);  // node 0 sends 2 MB, node 1 1.5 MB
  EXPECT_DOUBLE_EQ(rows[0].over_bound, 9 * 0.375 / 1.6);
  EXPECT_DOUBLE_EQ(rows[2].bound_s, 1.2);  // node 1 now sends more
}

TEST(LadderRounds, TextHasBothTables) {
  LadderRounds ladder = three_rounds();
  ladder.link_bits_per_s = 10e6;
  const std::string text = rounds_text(ladder, Colour::kNever);
  EXPECT_THAT(text, HasSubstr("grace          3.00   2.00..4.00"));
  EXPECT_THAT(text, HasSubstr("4.00x"));
  EXPECT_THAT(text, HasSubstr("-50.0%"));
  EXPECT_THAT(text, HasSubstr("3 round(s), medians, first runs;"));
  ladder.warm = true;
  EXPECT_THAT(rounds_text(ladder, Colour::kNever), HasSubstr("medians, second runs;"));
  EXPECT_EQ(rounds_text({}, Colour::kNever), "no rows\n");
}

TEST(LadderRounds, RowsThatAreMissingGiveNoRatio) {
  LadderRounds ladder = three_rounds();
  ladder.rows.erase(ladder.rows.begin(), ladder.rows.begin() + 2);
  const auto rows = make_rounds_rows(ladder);
  EXPECT_EQ(rows[0].against_vanilla, 0);
  EXPECT_EQ(rows[0].against_occult, 0);
  const Json json = parse_json(rounds_json(ladder), "ladder");
  EXPECT_TRUE(json["rows"][0]["against_occult"].is_null());
  EXPECT_TRUE(json["rows"][0]["cross_node_change"].is_null());
}

TEST(LadderRounds, JsonHoldsEveryRound) {
  const Json json = parse_json(rounds_json(three_rounds()), "ladder");
  EXPECT_EQ(json["format"], "gracemoe-ladder");
  EXPECT_EQ(json["rounds"], 3);
  EXPECT_EQ(json["warm"], false);
  ASSERT_EQ(json["rows"].size(), 3U);
  EXPECT_EQ(json["rows"][1]["rounds"].size(), 3U);
  EXPECT_EQ(json["rows"][1]["rounds"][1]["end_to_end_s"], 10);
  EXPECT_EQ(json["rows"][1]["against_vanilla"], 1.6);
  EXPECT_EQ(json["rows"][1]["prefill_s"], 1.5);
  EXPECT_EQ(json["rows"][1]["busiest_link_mb"], 2.0);
  EXPECT_TRUE(json["rows"][1]["bound_s"].is_null());
}

TEST(LadderRounds, ThePictureStandsAlone) {
  const std::string svg = ladder_svg(typical_runs(three_rounds()));
  EXPECT_THAT(svg, HasSubstr("<svg xmlns=\"http://www.w3.org/2000/svg\" "));
  EXPECT_THAT(svg, HasSubstr("<style>"));
  EXPECT_THAT(svg, HasSubstr("occult"));
}

}  // namespace
}  // namespace gracemoe
