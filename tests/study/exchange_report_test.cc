#include "study/exchange_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

// Of a device in a layer, in MB to other nodes.
LayerCounters sends(double out_mb, double back_mb) {
  LayerCounters c;
  c.dispatch_payload.cross_node = static_cast<std::int64_t>(out_mb * 1e6);
  c.combine_payload.cross_node = static_cast<std::int64_t>(back_mb * 1e6);
  return c;
}

// Two nodes of two devices, two layers. Node 0 sends 3 + 1 MB out and 0 + 1 back, node 1 1 + 2 out
// and 2 + 0 back.
ExchangeReport report() {
  ExchangeReport r;
  r.topology = Topology::grid(2, 2);
  r.result.steps = 1;
  r.result.rounds = {{0.5, 1.0}, {0.25, 0.25}, {2.0, 2.0}};
  r.result.counters = {{sends(2, 0), sends(1, 0)},
                       {sends(1, 0), sends(0, 1)},
                       {sends(0.5, 2), sends(2, 0)},
                       {sends(0.5, 0), sends(0, 0)}};
  r.link_bits_per_s = 8e6;  // a MB a second
  return r;
}

TEST(ExchangeReport, BoundOfTheBusiestDirectionAndOfEachPhasesOwn) {
  const ExchangeFigures f = exchange_figures(report());
  EXPECT_EQ(f.busiest_link_bytes, 5'000'000);
  EXPECT_DOUBLE_EQ(f.bound_s, 5);
  EXPECT_DOUBLE_EQ(f.median.total_s(), 1.5);
  EXPECT_DOUBLE_EQ(f.over_bound, 0.3);
  EXPECT_DOUBLE_EQ(f.bound_by_phase_s, 3 + 2 + 2 + 1);  // out and back of layer 0, of layer 1
  EXPECT_THAT(
      exchange_text(report()),
      HasSubstr("bound: 5.0 MB from the busiest node at 8 Mbit/s take 5.000 s; 0.30 times that\n"
                "phase by phase, each of its own busiest node: 8.000 s; 0.19 times that\n"));
  EXPECT_EQ(parse_json(exchange_json(report()), "report")["bound_by_phase_s"], 8);
}

TEST(ExchangeReport, NoBoundWithoutARate) {
  ExchangeReport r = report();
  r.link_bits_per_s = 0;
  EXPECT_EQ(exchange_figures(r).bound_s, 0);
  EXPECT_EQ(exchange_text(r).find("bound"), std::string::npos);
}

}  // namespace
}  // namespace gracemoe
