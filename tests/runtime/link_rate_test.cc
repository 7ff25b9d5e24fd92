#include "runtime/link_rate.h"

#include <gtest/gtest.h>

#include "support/thread_transport.h"

namespace gracemoe {
namespace {

// Every reading of the clock is so many seconds after the one before: each swap takes as long.
double measured(const std::string& topology_text, double seconds_of_rank_1, double seconds) {
  const Topology topology = Topology::parse(topology_text);
  double rate = -1;
  run_ranks(topology.devices(), [&](Transport& transport) {
    double now = 0;
    const auto clock = [&] {
      now += transport.rank() == 1 ? seconds_of_rank_1 : seconds;
      return now;
    };
    const double its = rate_between_nodes(topology, transport, clock);
    if (transport.rank() == 0) rate = its;
    std::vector<double> most{its}, least{-its};
    transport.max(std::span(most));
    transport.max(std::span(least));
    EXPECT_EQ(most[0], -least[0]) << "the same on every rank";
  });
  return rate;
}

constexpr double kBits = 8 * 256 * 1024;

TEST(LinkRate, IsTheSlowestPairs) {
  EXPECT_DOUBLE_EQ(measured("2x1", 0.5, 0.5), kBits / 0.5);
  EXPECT_DOUBLE_EQ(measured("2x2", 0.25, 0.125), kBits / 0.25);
  EXPECT_DOUBLE_EQ(measured("4x1", 0.25, 0.125), kBits / 0.25);
}

TEST(LinkRate, UnevenAndOddNodes) {
  EXPECT_DOUBLE_EQ(measured("2,1", 7, 0.125), kBits / 0.125) << "rank 1 has no partner";
  EXPECT_DOUBLE_EQ(measured("3x1", 0.125, 0.125), kBits / 0.125);
}

TEST(LinkRate, OneNodeHasNone) {
  EXPECT_EQ(measured("1x1", 1, 1), 0);
  EXPECT_EQ(measured("1x3", 1, 1), 0);
}

}  // namespace
}  // namespace gracemoe
