#include "report/time_table.h"

#include <gmock/gmock.h>

namespace gracemoe {
namespace {

using testing::HasSubstr;
using testing::Not;

RankSpans rank(int number, std::int64_t attention_ns) {
  SpanLog log;
  log.names = {"decode step", "attention"};
  log.totals = {{0, 1, 4, attention_ns}, {0, 0, 2, 500'000'000}};
  return {number, "host", log};
}

TEST(TimeTable, SharesOfAStep) {
  const std::vector<RankSpans> one = {rank(0, 1'500'000'000)};
  const std::string table = time_table(one, Colour::kNever);
  EXPECT_EQ(table,
            "step         operation               s  share  calls  us a call\n"
            "decode step  attention           1.500  75.0%      4   375000.0\n"
            "decode step  (rest of the step)  0.500  25.0%      2   250000.0\n");
}

TEST(TimeTable, SeveralRanksShowTheirMeanAndTheSlowest) {
  const std::vector<RankSpans> two = {rank(0, 1'500'000'000), rank(1, 500'000'000)};
  const std::string table = time_table(two, Colour::kNever);
  EXPECT_THAT(table, HasSubstr("slowest s"));
  EXPECT_THAT(table, HasSubstr("attention           1.000"));
  EXPECT_THAT(table, HasSubstr("1.500\n"));
}

TEST(TimeTable, NothingRecorded) {
  EXPECT_EQ(time_table({}, Colour::kNever), "");
}

}  // namespace
}  // namespace gracemoe
