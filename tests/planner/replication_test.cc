#include "planner/replication.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "planner/random_inputs.h"

namespace gracemoe {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// W = 80, 12, 20, 8; mean 30; rho = 2.67; n_replica 2; goal 80 * 2/3 = 53.3.
const Groups kGroups{{0, 1, 2}, {3}, {4}, {5}};
const std::vector<double> kLoad{20, 50, 10, 12, 20, 8};

TEST(Replication, HotPrefixAndTargetsByHand) {
  const ReplicaChoice choice = choose_replicas(kGroups, kLoad, Replication::kDynamic);
  EXPECT_DOUBLE_EQ(choice.skew, 80.0 / 30);
  EXPECT_EQ(choice.hottest, 0);
  EXPECT_EQ(choice.replicas, 2);
  EXPECT_THAT(choice.hot, ElementsAre(1, 0));      // 50 < 53.3 <= 70
  EXPECT_THAT(choice.targets, ElementsAre(3, 1));  // 8, 12
}

TEST(Replication, PredictedLoadConservesTheTotal) {
  const LayerPlan layer = replicated_layer(kGroups, kLoad, Replication::kDynamic);
  const double p = 70.0 / 3;  // W_p
  EXPECT_THAT(layer.predicted_load,
              ElementsAre(DoubleNear((10 + p) / 120, 1e-12), DoubleNear((12 + p) / 120, 1e-12),
                          DoubleNear(20.0 / 120, 1e-12), DoubleNear((8 + p) / 120, 1e-12)));
  const double sum = 1 / (10 + p) + 1 / (8 + p) + 1 / (12 + p);
  for (const int hot : {0, 1}) {
    const auto& instances = layer.experts[static_cast<std::size_t>(hot)];
    ASSERT_EQ(instances.size(), 3U);
    EXPECT_EQ(instances[0].device, 0);
    EXPECT_NEAR(instances[0].weight, 1 / (10 + p) / sum, 1e-12);
    EXPECT_EQ(instances[1].device, 3);
    EXPECT_NEAR(instances[1].weight, 1 / (8 + p) / sum, 1e-12);
    EXPECT_EQ(instances[2].device, 1);
    EXPECT_NEAR(instances[2].weight, 1 / (12 + p) / sum, 1e-12);
  }
  EXPECT_EQ(layer.experts[2], (std::vector<Instance>{{0, 1.0}}));
  EXPECT_EQ(layer.replicas, 2);
  EXPECT_DOUBLE_EQ(layer.skew, 80.0 / 30);
}

TEST(Replication, FixedCopiesTheSameExpertsOnce) {
  const LayerPlan layer = replicated_layer(kGroups, kLoad, Replication::kFixed);
  EXPECT_EQ(layer.replicas, 1);
  EXPECT_EQ(layer.experts[0].size(), 2U);
  EXPECT_EQ(layer.experts[1][1].device, 3);
  EXPECT_THAT(layer.predicted_load,
              ElementsAre(DoubleNear(45.0 / 120, 1e-12), DoubleNear(12.0 / 120, 1e-12),
                          DoubleNear(20.0 / 120, 1e-12), DoubleNear(43.0 / 120, 1e-12)));
}

TEST(Replication, NoneLeavesThePrimaries) {
  const LayerPlan layer = replicated_layer(kGroups, kLoad, Replication::kNone);
  EXPECT_EQ(layer.replicas, 0);
  EXPECT_DOUBLE_EQ(layer.skew, 80.0 / 30);
  for (const auto& instances : layer.experts) EXPECT_EQ(instances.size(), 1U);
  EXPECT_DOUBLE_EQ(layer.predicted_load[0], 80.0 / 120);
}

TEST(Replication, NumberOfReplicas) {
  const auto replicas = [](const std::vector<double>& w) {
    Groups groups;
    for (int d = 0; d < static_cast<int>(w.size()); ++d) groups.push_back({d});
    return choose_replicas(groups, w, Replication::kDynamic).replicas;
  };
  EXPECT_EQ(replicas({30, 30, 30, 30}), 1);  // rho = 1
  EXPECT_EQ(replicas({59, 20, 20, 21}), 1);  // 1.97
  EXPECT_EQ(replicas({60, 20, 20, 20}), 2);  // exactly 2
  EXPECT_EQ(replicas({10, 0, 0, 0}), 3);     // 4, but three other devices
  EXPECT_EQ(replicas({10, 0}), 1);
  EXPECT_EQ(replicas({10}), 0);
}

TEST(Replication, EqualDevicesNeverTargetTheHottest) {
  const ReplicaChoice choice =
      choose_replicas({{0}, {1}}, std::vector<double>{5, 5}, Replication::kDynamic);
  EXPECT_EQ(choice.hottest, 0);
  EXPECT_THAT(choice.targets, ElementsAre(1));
}

TEST(Replication, NothingWhereNothingWasLoaded) {
  const LayerPlan layer =
      replicated_layer({{0, 1}, {}}, std::vector<double>{0, 0}, Replication::kDynamic);
  EXPECT_EQ(layer.skew, 1);
  EXPECT_THAT(layer.predicted_load, IsEmpty());
  EXPECT_EQ(layer.experts[1], (std::vector<Instance>{{0, 1.0}}));
}

TEST(Replication, TotalsConservedOnRandomInputs) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed);
    const int n = 1 + random.below(30);
    const int devices = 1 + random.below(9);
    Groups groups(static_cast<std::size_t>(devices));
    std::vector<double> load;
    for (int e = 0; e < n; ++e) {
      groups[static_cast<std::size_t>(random.below(devices))].push_back(e);
      load.push_back(random.below(1000) * random.below(2));
    }
    for (const auto kind : {Replication::kNone, Replication::kFixed, Replication::kDynamic}) {
      const LayerPlan layer = replicated_layer(groups, load, kind);
      const double sum =
          std::accumulate(layer.predicted_load.begin(), layer.predicted_load.end(), 0.0);
      EXPECT_TRUE(layer.predicted_load.empty() || std::abs(sum - 1) < 1e-12) << seed;
      EXPECT_LE(layer.replicas, devices - 1);
      for (const auto& instances : layer.experts) {
        double weights = 0;
        for (const Instance& i : instances) weights += i.weight;
        EXPECT_NEAR(weights, 1, 1e-12);
      }
    }
  }
}

}  // namespace
}  // namespace gracemoe
