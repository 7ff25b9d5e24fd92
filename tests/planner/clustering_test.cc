#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>
#include <set>

#include "planner/kmeans.h"
#include "planner/random_inputs.h"
#include "planner/spectral.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<int> first_integers(int count) {
  std::vector<int> all(static_cast<std::size_t>(count));
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(KMeans, PartsTwoClouds) {
  const std::vector<double> points{0, 0, 9, 9, 0, 1, 9, 8, 1, 0};
  const std::vector<int> c = kmeans(points, 2, {.clusters = 2, .seed = 1});
  EXPECT_EQ(c[0], c[2]);
  EXPECT_EQ(c[0], c[4]);
  EXPECT_EQ(c[1], c[3]);
  EXPECT_NE(c[0], c[1]);
}

TEST(KMeans, NoClusterIsEmptyEvenWherePointsCoincide) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const std::vector<int> c =
        kmeans(std::vector<double>(12, 1.0), 2, {.clusters = 4, .seed = seed});
    EXPECT_EQ(std::set<int>(c.begin(), c.end()).size(), 4U);
  }
}

TEST(KMeans, IsDeterministicAndTakesTheBestRestart) {
  Random random(5);
  std::vector<double> points;
  for (int i = 0; i < 200; ++i) points.push_back(random.below(1000));
  const KMeansOptions options{.clusters = 5, .restarts = 20, .seed = 3};
  EXPECT_EQ(kmeans(points, 2, options), kmeans(points, 2, options));
  const auto cost = [&](const std::vector<int>& cluster) {
    double sum = 0;
    for (std::size_t d = 0; d < 2; ++d)
      for (int c = 0; c < 5; ++c) {
        double n = 0, s = 0, s2 = 0;
        for (std::size_t p = 0; p < 100; ++p)
          if (cluster[p] == c)
            n += 1, s += points[2 * p + d], s2 += points[2 * p + d] * points[2 * p + d];
        sum += s2 - s * s / n;
      }
    return sum;
  };
  const double best = cost(kmeans(points, 2, options));
  for (int restarts = 1; restarts < 20; ++restarts) {
    KMeansOptions fewer = options;
    fewer.restarts = restarts;
    EXPECT_LE(best, cost(kmeans(points, 2, fewer)) * (1 + 1e-12));
  }
}

// Experts i and j with i % blocks == j % blocks belong together.
std::vector<double> block_affinity(int experts, int blocks, double inside, double outside) {
  const auto n = static_cast<std::size_t>(experts);
  std::vector<double> values(n * n, outside);
  for (int i = 0; i < experts; ++i)
    for (int j = 0; j < experts; ++j)
      if (i % blocks == j % blocks)
        values[static_cast<std::size_t>(i) * n + static_cast<std::size_t>(j)] = i == j ? 0 : inside;
  return values;
}

TEST(Spectral, FindsPlantedGroups) {
  for (const double outside : {0.0, 1.0}) {  // 0: disconnected
    const auto values = block_affinity(12, 3, 10, outside);
    EXPECT_THAT(
        spectral_groups({12, values}, first_integers(12), 3, {}),
        ElementsAre(ElementsAre(0, 3, 6, 9), ElementsAre(1, 4, 7, 10), ElementsAre(2, 5, 8, 11)));
  }
}

TEST(Spectral, GroupsOnlyTheMembers) {
  const auto values = block_affinity(12, 2, 10, 1);
  const std::vector<int> members{1, 2, 5, 8, 9, 10};
  EXPECT_THAT(spectral_groups({12, values}, members, 2, {}),
              ElementsAre(ElementsAre(1, 5, 9), ElementsAre(2, 8, 10)));
}

TEST(Spectral, ExpertsWithoutAffinityGoToTheSmallestGroups) {
  auto values = block_affinity(8, 2, 10, 0);
  for (std::size_t i = 0; i < 8; ++i)
    for (const std::size_t e : {std::size_t{4}, std::size_t{6}})
      values[i * 8 + e] = values[e * 8 + i] = 0;
  // Connected: 0 2 and 1 3 5 7.
  EXPECT_THAT(spectral_groups({8, values}, first_integers(8), 2, {}),
              ElementsAre(ElementsAre(0, 2, 4, 6), ElementsAre(1, 3, 5, 7)));
}

TEST(Spectral, WithoutAnyAffinityEvenStretches) {
  const std::vector<double> zero(25);
  EXPECT_THAT(spectral_groups({5, zero}, first_integers(5), 2, {}),
              ElementsAre(ElementsAre(0, 1), ElementsAre(2, 3, 4)));
}

TEST(Spectral, FewerMembersThanGroups) {
  const auto values = block_affinity(4, 1, 10, 0);
  EXPECT_THAT(spectral_groups({4, values}, std::vector<int>{1, 3}, 3, {}),
              ElementsAre(ElementsAre(1), ElementsAre(3), IsEmpty()));
  EXPECT_THAT(spectral_groups({4, values}, std::vector<int>{}, 2, {}),
              ElementsAre(IsEmpty(), IsEmpty()));
}

TEST(Spectral, EveryMemberOnceAndNoGroupEmpty) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    Random random(seed);
    const int n = 2 + random.below(30);
    const int count = 1 + random.below(n);
    const auto values = random_affinity(random, n);
    const Groups groups = spectral_groups({n, values}, first_integers(n), count, {.seed = seed});
    EXPECT_EQ(all_members(groups), first_integers(n));
    for (const auto& group : groups) EXPECT_FALSE(group.empty());
  }
}

}  // namespace
}  // namespace gracemoe
