#include "study/exchange_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

Crossing mb(int sent, int received) {
  return {sent * std::int64_t{1'000'000}, received * std::int64_t{1'000'000}};
}

// Three nodes, the first of two devices; one step of one layer. Out, the nodes send 3, 1 and 1 MB
// and receive 1, 4 and 0; back, they send 1, 4 and 0 and receive 3, 1 and 1.
ExchangeReport report() {
  ExchangeReport r;
  r.topology = Topology::of({2, 1, 1});
  r.result.steps = 1;
  r.result.rounds = {{0.5, 1.0}, {0.25, 0.25}, {2.0, 2.0}};
  r.result.crossings = {
      {mb(2, 0), mb(0, 2)}, {mb(1, 1), mb(1, 1)}, {mb(1, 4), mb(4, 1)}, {mb(1, 0), mb(0, 1)}};
  r.link_bits_per_s = 8e6;  // a MB a second
  return r;
}

TEST(ExchangeReport, BoundOfTheBusiestDirectionAndOfEachPhasesOwn) {
  const ExchangeFigures f = exchange_figures(report());
  EXPECT_EQ(f.busiest_link_bytes, 5'000'000);
  EXPECT_DOUBLE_EQ(f.bound_s, 5);
  EXPECT_DOUBLE_EQ(f.median.total_s(), 1.5);
  EXPECT_DOUBLE_EQ(f.over_bound, 0.3);
  EXPECT_DOUBLE_EQ(f.bound_by_phase_s, 4 + 4);  // what node 1 receives, then what it sends
  EXPECT_THAT(
      exchange_text(report()),
      HasSubstr("bound: 5.0 MB in the busier direction of the busiest node at 8 Mbit/s take 5.000 "
                "s; 0.30 times that\n"
                "phase by phase, each of its own busiest node: 8.000 s; 0.19 times that\n"));
  EXPECT_EQ(parse_json(exchange_json(report()), "report")["bound_by_phase_s"], 8);
}

// The same step in two lanes: both directions of a node count together.
TEST(ExchangeReport, TwoLanesAreBoundStepByStep) {
  ExchangeReport r = report();
  r.result.rounds = {{.together_s = 3.0}, {.together_s = 2.5}, {.together_s = 7.0}};
  r.result.crossings = {{mb(2, 2)}, {mb(2, 2)}, {mb(5, 5)}, {mb(1, 1)}};
  const ExchangeFigures f = exchange_figures(r);
  EXPECT_DOUBLE_EQ(f.median.total_s(), 3);
  EXPECT_DOUBLE_EQ(f.over_bound, 3.0 / 5);
  EXPECT_THAT(exchange_text(r),
              HasSubstr("step by step, each of its own busiest node: 5.000 s; 0.60 times that\n"));
  const Json json = parse_json(exchange_json(r), "report");
  EXPECT_EQ(json["together_s"], 3);
  EXPECT_EQ(json["dispatch_s"], 0);
  EXPECT_EQ(json["rounds"][2]["together_s"], 7);
}

TEST(ExchangeReport, NoBoundWithoutARate) {
  ExchangeReport r = report();
  r.link_bits_per_s = 0;
  EXPECT_EQ(exchange_figures(r).bound_s, 0);
  EXPECT_EQ(exchange_text(r).find("bound"), std::string::npos);
}

}  // namespace
}  // namespace gracemoe
