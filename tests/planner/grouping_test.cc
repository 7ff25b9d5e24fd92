#include "planner/grouping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "planner/baselines.h"
#include "planner/hierarchical.h"
#include "planner/knee.h"
#include "planner/random_inputs.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;

// Symmetric matrix from (i, j, value).
std::vector<double> matrix(int n, const std::vector<std::tuple<int, int, double>>& pairs) {
  std::vector<double> values(static_cast<std::size_t>(n * n));
  for (const auto& [i, j, v] : pairs)
    values[static_cast<std::size_t>(i * n + j)] = values[static_cast<std::size_t>(j * n + i)] = v;
  return values;
}

TEST(SizeBounds, DeltaIsTheRoundedShareAndAtLeastOne) {
  const std::vector<double> sixteen{16, 16};
  EXPECT_THAT(size_bounds(sixteen, 0.1).low, ElementsAre(14, 14));  // round(1.6) = 2
  EXPECT_THAT(size_bounds(sixteen, 0.1).high, ElementsAre(18, 18));
  EXPECT_THAT(size_bounds(sixteen, 0.01).low, ElementsAre(15, 15));  // at least 1
  EXPECT_THAT(size_bounds(sixteen, 1).low, ElementsAre(1, 1));       // at least 1 expert
  EXPECT_THAT(size_bounds(sixteen, 1).high, ElementsAre(32, 32));
  const std::vector<double> fractional{2.5, 2.5};
  EXPECT_THAT(size_bounds(fractional, 0.1).low, ElementsAre(2, 2));  // [1.5, 3.5]
  EXPECT_THAT(size_bounds(fractional, 0.1).high, ElementsAre(3, 3));
}

TEST(SizeBounds, UniformSizesDifferByAtMostOne) {
  EXPECT_THAT(size_bounds(std::vector<double>{2.5, 2.5}, 0).low, ElementsAre(2, 2));
  EXPECT_THAT(size_bounds(std::vector<double>{2.5, 2.5}, 0).high, ElementsAre(3, 3));
  EXPECT_THAT(size_bounds(std::vector<double>{4, 4}, 0).low, ElementsAre(4, 4));
  EXPECT_THAT(size_bounds(std::vector<double>{4, 4}, 0).high, ElementsAre(4, 4));
}

TEST(SizeBounds, FollowUnevenTargetsAndMinima) {
  const std::vector<double> targets{6, 2};
  const std::vector<int> minimum{3, 2};
  const SizeBounds bounds = size_bounds(targets, 0.5, minimum);
  EXPECT_THAT(bounds.low, ElementsAre(3, 2));
  EXPECT_THAT(bounds.high, ElementsAre(9, 3));
}

TEST(SizeBounds, NeverAskForMoreThanThereIs) {
  const std::vector<double> halves(4, 0.5);  // two experts, four groups
  const SizeBounds bounds = size_bounds(halves, 0.2);
  EXPECT_THAT(bounds.low, ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(bounds.high, ElementsAre(1, 1, 1, 1));
  const std::vector<double> targets{3, 1};
  const std::vector<int> minimum{6, 2};
  EXPECT_THAT(size_bounds(targets, 0, minimum).low, ElementsAre(2, 2));
}

TEST(ControlledGroups, SurplusLeavesForItsStrongestPull) {
  // Sums inside {0,1,2,3}: 10, 8, 7, 1. Expert 3 goes; group 1 draws it with 10.
  const auto a = matrix(5, {{0, 1, 5}, {0, 2, 4}, {1, 2, 3}, {0, 3, 1}, {3, 4, 10}});
  EXPECT_THAT(controlled_groups({5, a}, {{0, 1, 2, 3}, {4}}, {{2, 2}, {3, 3}}),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4)));
}

TEST(ControlledGroups, TheCapAlwaysHolds) {
  // Both 2 (sum 4) and 3 (sum 3) are put out and drawn to group 1, which has one place: 2 comes
  // first.
  const auto a = matrix(6, {{0, 1, 9}, {0, 2, 4}, {1, 3, 3}, {2, 4, 7}, {3, 4, 8}, {3, 5, 1}});
  EXPECT_THAT(controlled_groups({6, a}, {{0, 1, 2, 3}, {4}, {5}}, {{1, 1, 1}, {2, 2, 2}}),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 4), ElementsAre(3, 5)));
}

TEST(ControlledGroups, SmallGroupsTakeTheCheapestMove) {
  // Costs of a move to group 1: 0: 9 - 0, 1: 10 - 0, 2: 5 - 1, 3: 4 - 2 = 2.
  const auto a =
      matrix(5, {{0, 1, 5}, {0, 2, 2}, {0, 3, 2}, {1, 2, 3}, {1, 3, 2}, {2, 4, 1}, {3, 4, 2}});
  EXPECT_THAT(controlled_groups({5, a}, {{0, 1, 2, 3}, {4}}, {{2, 2}, {5, 5}}),
              ElementsAre(ElementsAre(0, 1, 2), ElementsAre(3, 4)));
}

TEST(ControlledGroups, ChangesNothingWithinBounds) {
  const auto a = matrix(4, {{0, 3, 5}});
  const Groups start{{0, 1}, {2, 3}};
  EXPECT_EQ(controlled_groups({4, a}, start, {{1, 1}, {3, 3}}), start);
}

TEST(ControlledGroups, KeepBoundsOnRandomInputs) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    Random random(seed);
    const int n = 1 + random.below(30);
    const int groups = 1 + random.below(8);
    const auto a = random_affinity(random, n);
    Groups start(static_cast<std::size_t>(groups));
    for (int e = 0; e < n; ++e)
      start[static_cast<std::size_t>(random.below(groups) * random.below(2))].push_back(e);
    const std::vector<double> targets(static_cast<std::size_t>(groups),
                                      static_cast<double>(n) / groups);
    const SizeBounds bounds = size_bounds(targets, random.below(11) / 10.0);
    const Groups out = controlled_groups({n, a}, start, bounds);
    EXPECT_EQ(all_members(out), all_members(start));
    for (std::size_t g = 0; g < out.size(); ++g) {
      EXPECT_GE(static_cast<int>(out[g].size()), bounds.low[g]) << seed;
      EXPECT_LE(static_cast<int>(out[g].size()), bounds.high[g]) << seed;
      EXPECT_TRUE(n < groups || !out[g].empty());
    }
  }
}

TEST(Affinity, InsideAndTotal) {
  const auto a = matrix(4, {{0, 1, 5}, {1, 2, 3}, {2, 3, 2}});
  EXPECT_EQ(affinity_total({4, a}), 10);
  EXPECT_EQ(affinity_inside({4, a}, {{0, 1}, {2, 3}}), 7);
}

TEST(Knee, FarthestAboveTheChord) {
  // Scaled: (0, 0), (.25, .667), (.5, .833), (1, 1): heights .417 and .333.
  const std::vector<RatioPoint> curve{{0, 0, .2}, {.1, 1, .6}, {.2, 2, .7}, {.3, 4, .8}};
  EXPECT_EQ(knee(curve), 1U);
  const std::vector<RatioPoint> any_order{{.3, 4, .8}, {.2, 2, .7}, {.1, 1, .6}, {0, 0, .2}};
  EXPECT_EQ(knee(any_order), 2U);
}

TEST(Knee, FallsBackToTheLeastDeviation) {
  EXPECT_EQ(knee(std::vector<RatioPoint>{{0, 1, .5}}), 0U);
  EXPECT_EQ(knee(std::vector<RatioPoint>{{0, 1, .5}, {.1, 1, .5}}), 0U);
  EXPECT_EQ(knee(std::vector<RatioPoint>{{0, 2, .8}, {.1, 1, .2}}), 1U);  // two ends only
  EXPECT_EQ(knee(std::vector<RatioPoint>{{0, 0, .1}, {1, 1, .15}, {2, 2, .9}}), 0U);  // below it
  EXPECT_EQ(knee(std::vector<RatioPoint>{{0, 0, 0}, {1, 3, 0}}), 0U);                 // all zero
}

TEST(Contiguous, EqualShares) {
  EXPECT_THAT(contiguous_groups(5, 2), ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3, 4)));
  EXPECT_THAT(contiguous_groups(1, 2), ElementsAre(ElementsAre(), ElementsAre(0)));
}

TEST(Occult, GreedyByCoActivation) {
  // Sums: 0: 6, 1: 9, 2: 8, 3: 11, 4: 2, 5: 0. First 3, then its strongest, 2, then the strongest
  // to both.
  const auto a = matrix(6, {{0, 1, 6}, {1, 3, 3}, {2, 3, 7}, {2, 4, 1}, {3, 4, 1}});
  EXPECT_THAT(occult_groups({6, a}, 2), ElementsAre(ElementsAre(1, 2, 3), ElementsAre(0, 4, 5)));
}

TEST(Occult, EveryExpertOnceInEqualShares) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Random random(seed);
    const int n = 1 + random.below(20);
    const int devices = 1 + random.below(25);
    const auto a = random_affinity(random, n);
    const Groups groups = occult_groups({n, a}, devices);
    EXPECT_EQ(all_members(groups).size(), static_cast<std::size_t>(n));
    for (const auto& group : groups) {
      EXPECT_GE(static_cast<int>(group.size()), n / devices);
      EXPECT_LE(static_cast<int>(group.size()), (n + devices - 1) / devices);
    }
  }
}

// Devices' sizes within a node, and experts on each node.
void check_hierarchy(const HierarchicalGroups& found, const Topology& topology, int n,
                     RatioPolicy policy, std::uint64_t seed) {
  ASSERT_EQ(found.devices.size(), static_cast<std::size_t>(topology.devices()));
  EXPECT_EQ(static_cast<int>(all_members(found.devices).size()), n);
  for (int node = 0; node < topology.nodes(); ++node) {
    int smallest = n;
    int largest = 0;
    int total = 0;
    for (int d = topology.first_device(node); d < topology.first_device(node + 1); ++d) {
      const int size = static_cast<int>(found.devices[static_cast<std::size_t>(d)].size());
      smallest = std::min(smallest, size);
      largest = std::max(largest, size);
      total += size;
    }
    if (n >= topology.devices()) {
      EXPECT_GE(total, topology.devices_on(node)) << seed;
      EXPECT_GE(smallest, 1) << seed;
    }
    if (policy == RatioPolicy::kUniform) {
      EXPECT_LE(largest - smallest, 1) << seed;
    }
    if (policy == RatioPolicy::kKnee) {
      const double mean = static_cast<double>(total) / topology.devices_on(node);
      const double delta = found.ratio > 0 ? std::max(1.0, std::round(mean * found.ratio)) : 1;
      EXPECT_LE(largest, mean + delta) << seed;
      EXPECT_GE(smallest, mean - delta) << seed;
    }
  }
}

TEST(Hierarchical, SizesOnRandomInputs) {
  for (std::uint64_t seed = 0; seed < 80; ++seed) {
    Random random(seed);
    const Topology topology = random_topology(random);
    const int n = 1 + random.below(40);
    const auto a = random_affinity(random, n);
    for (const auto policy :
         {RatioPolicy::kUniform, RatioPolicy::kKnee, RatioPolicy::kFree, RatioPolicy::kFixed})
      check_hierarchy(hierarchical_groups({n, a}, topology, {policy, 0.3, {.seed = seed}}),
                      topology, n, policy, seed);
  }
}

TEST(Hierarchical, KeepsTogetherWhatBelongsTogether) {
  // Two node-sized families {even}, {odd}, each of two pairs of friends.
  const auto a = matrix(8, {{0, 2, 9},
                            {4, 6, 9},
                            {0, 4, 3},
                            {2, 6, 3},
                            {1, 3, 9},
                            {5, 7, 9},
                            {1, 5, 3},
                            {3, 7, 3},
                            {0, 1, 1},
                            {6, 7, 1}});
  const auto found = hierarchical_groups({8, a}, Topology::grid(2, 2), {});
  EXPECT_THAT(found.devices, ElementsAre(ElementsAre(0, 2), ElementsAre(4, 6), ElementsAre(1, 3),
                                         ElementsAre(5, 7)));
  EXPECT_EQ(found.curve.size(), candidate_ratios().size());
}

TEST(Hierarchical, UnevenNodesGetSharesInProportion) {
  Random random(3);
  const auto a = random_affinity(random, 40);
  for (const auto& shape :
       {std::vector<int>{3, 1}, std::vector<int>{1, 3}, std::vector<int>{1, 2, 1}}) {
    const Topology topology = Topology::of(shape);
    const auto found = hierarchical_groups({40, a}, topology, {});
    for (const auto& group : found.devices) {
      EXPECT_GE(group.size(), 3U);
      EXPECT_LE(group.size(), 25U);
    }
  }
}

}  // namespace
}  // namespace gracemoe
