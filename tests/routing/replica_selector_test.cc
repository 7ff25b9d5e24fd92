#include "routing/replica_selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/hash.h"

namespace gracemoe {
namespace {

using ::testing::HasSubstr;

constexpr std::uint64_t kDraws = 40000;

Plan plan_of(const Topology& topology, std::vector<std::vector<Instance>> experts) {
  Plan plan;
  plan.num_experts = static_cast<int>(experts.size());
  plan.top_k = 1;
  plan.topology = topology;
  plan.layers.resize(1);
  plan.layers[0].experts = std::move(experts);
  return plan;
}

// Share of many tokens that each device gets.
std::map<int, double> shares(const ReplicaSelector& selector, int expert, int home) {
  std::map<int, double> share;
  for (std::uint64_t t = 0; t < kDraws; ++t)
    share[selector.device_for(0, expert, home, token_key(t / 100, t % 100))] += 1.0 / kDraws;
  return share;
}

// Four standard deviations of a share of kDraws draws.
double tolerance(double p) {
  return 4 * std::sqrt(p * (1 - p) / kDraws);
}

TEST(RoutingPolicy, NamesReadBack) {
  for (const auto policy :
       {RoutingPolicy::kPrimary, RoutingPolicy::kWeightedRoundRobin, RoutingPolicy::kTopologyAware})
    EXPECT_EQ(parse_routing_policy(to_string(policy)), policy);
  try {
    parse_routing_policy("tarr");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kUsage);
    EXPECT_THAT(error.what(), HasSubstr("routing policy: got 'tarr', wanted primary, wrr or tar"));
  }
}

TEST(TokenKey, TellsRequestsAndPositionsApart) {
  std::set<std::uint64_t> keys;
  for (std::uint64_t request = 0; request < 100; ++request)
    for (std::uint64_t position = 0; position < 100; ++position)
      keys.insert(token_key(request, position));
  EXPECT_EQ(keys.size(), 10000U);
}

TEST(Primary, AlwaysTheFirstInstance) {
  const Plan plan = plan_of(Topology::grid(1, 3), {{{2, 0.1}, {0, 0.9}}});
  const auto selector = make_selector(RoutingPolicy::kPrimary, plan);
  for (std::uint64_t t = 0; t < 50; ++t)
    for (int home = 0; home < 3; ++home) EXPECT_EQ(selector->device_for(0, 0, home, t), 2);
}

TEST(WeightedRoundRobin, FrequenciesFollowTheWeights) {
  const Plan plan = plan_of(Topology::grid(2, 2), {{{3, 1.0}}, {{0, 1.0}, {2, 2.0}, {3, 5.0}}});
  const auto selector = make_selector(RoutingPolicy::kWeightedRoundRobin, plan);
  EXPECT_EQ(shares(*selector, 0, 0).at(3), shares(*selector, 0, 1).at(3));
  for (const int home : {0, 1, 3}) {
    const auto share = shares(*selector, 1, home);
    EXPECT_NEAR(share.at(0), 0.125, tolerance(0.125));
    EXPECT_NEAR(share.at(2), 0.25, tolerance(0.25));
    EXPECT_NEAR(share.at(3), 0.625, tolerance(0.625));
  }
}

TEST(WeightedRoundRobin, HugeWeightsDoNotOverflow) {
  const Plan plan = plan_of(Topology::grid(1, 3), {{{0, 1.5e308}, {1, 1.5e308}, {2, 1e-308}}});
  const auto share = shares(*make_selector(RoutingPolicy::kWeightedRoundRobin, plan), 0, 0);
  EXPECT_NEAR(share.at(0), 0.5, tolerance(0.5));
  EXPECT_FALSE(share.contains(2));
}

// Layers and experts must not draw alike, or a token's hot experts would all pile up on one device.
TEST(WeightedRoundRobin, DrawsOfExpertsAndLayersAreIndependent) {
  Plan plan = plan_of(Topology::grid(1, 2), {{{0, 1.0}, {1, 1.0}}, {{0, 1.0}, {1, 1.0}}});
  plan.layers.push_back(plan.layers[0]);
  const auto selector = make_selector(RoutingPolicy::kWeightedRoundRobin, plan);
  double same_expert = 0;
  double same_layer = 0;
  for (std::uint64_t t = 0; t < kDraws; ++t) {
    const std::uint64_t key = token_key(3, t);
    const int pick = selector->device_for(0, 0, 0, key);
    same_expert += pick == selector->device_for(0, 1, 0, key) ? 1.0 / kDraws : 0;
    same_layer += pick == selector->device_for(1, 0, 0, key) ? 1.0 / kDraws : 0;
  }
  EXPECT_NEAR(same_expert, 0.5, tolerance(0.5));
  EXPECT_NEAR(same_layer, 0.5, tolerance(0.5));
}

TEST(TopologyAware, HomeThenNodeThenAnywhere) {
  const Plan plan = plan_of(Topology::grid(3, 3), {{{0, 1.0}, {1, 3.0}, {3, 4.0}, {8, 4.0}}});
  const auto selector = make_selector(RoutingPolicy::kTopologyAware, plan);
  for (const int home : {0, 1, 3, 8}) {
    const auto share = shares(*selector, 0, home);
    EXPECT_EQ(share.size(), 1U);
    EXPECT_EQ(share.begin()->first, home);
  }
  const auto near = shares(*selector, 0, 2);  // instances 0 and 1 on its node, 1 : 3
  EXPECT_NEAR(near.at(0), 0.25, tolerance(0.25));
  EXPECT_NEAR(near.at(1), 0.75, tolerance(0.75));
  EXPECT_EQ(near.size(), 2U);
  EXPECT_EQ(shares(*selector, 0, 5).size(), 1U);  // the only one on node 1

  const Plan far = plan_of(Topology::grid(3, 3), {{{0, 1.0}, {3, 1.0}}});
  const auto share = shares(*make_selector(RoutingPolicy::kTopologyAware, far), 0, 7);
  EXPECT_NEAR(share.at(0), 0.5, tolerance(0.5));
  EXPECT_NEAR(share.at(3), 0.5, tolerance(0.5));
}

// Random plans: picks are instances, tar keeps to home and node wherever it can, and none depends
// on order.
TEST(Selectors, PropertiesOnRandomPlans) {
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    auto rnd = [&, i = std::uint64_t{0}](int below) mutable {
      return static_cast<int>(hash_combine(seed, i++) % static_cast<std::uint64_t>(below));
    };
    std::vector<int> nodes;
    for (int b = rnd(4); b >= 0; --b) nodes.push_back(1 + rnd(4));
    const Topology topology = Topology::of(nodes);
    std::vector<std::vector<Instance>> experts(8);
    for (auto& instances : experts) {
      std::set<int> used;
      for (int i = rnd(4); i >= 0; --i)
        if (const int d = rnd(topology.devices()); used.insert(d).second)
          instances.push_back({d, 0.1 + rnd(100)});
    }
    const Plan plan = plan_of(topology, experts);
    const auto tar = make_selector(RoutingPolicy::kTopologyAware, plan);
    const auto wrr = make_selector(RoutingPolicy::kWeightedRoundRobin, plan);
    for (int expert = 0; expert < 8; ++expert) {
      const auto& all = experts[static_cast<std::size_t>(expert)];
      const auto any = [&](auto fits) { return std::any_of(all.begin(), all.end(), fits); };
      for (int home = 0; home < topology.devices(); ++home) {
        for (std::uint64_t t = 0; t < 20; ++t) {
          const int by_wrr = wrr->device_for(0, expert, home, t);
          const int by_tar = tar->device_for(0, expert, home, t);
          EXPECT_TRUE(any([&](const Instance& i) { return i.device == by_wrr; }));
          EXPECT_TRUE(any([&](const Instance& i) { return i.device == by_tar; }));
          const auto here = [&](const Instance& i) {
            return topology.node_of(i.device) == topology.node_of(home);
          };
          if (any([&](const Instance& i) { return i.device == home; })) {
            EXPECT_EQ(by_tar, home);
          } else if (any(here)) {
            EXPECT_EQ(topology.node_of(by_tar), topology.node_of(home));
          } else {
            EXPECT_EQ(by_tar, by_wrr);  // the same draw among all
          }
        }
      }
    }
  }
}

// The draw is part of what a plan means: a change would make recorded runs irreproducible.
TEST(Selectors, TheDrawIsFixed) {
  EXPECT_EQ(token_key(0, 0), hash_combine(hash_combine(0, 0), 0));
  const Plan plan = plan_of(Topology::grid(1, 4), {{{0, 1.0}, {1, 1.0}, {2, 1.0}, {3, 1.0}}});
  const auto wrr = make_selector(RoutingPolicy::kWeightedRoundRobin, plan);
  std::string picks;
  for (std::uint64_t t = 0; t < 16; ++t)
    picks += std::to_string(wrr->device_for(0, 0, 0, token_key(1, t)));
  EXPECT_EQ(picks, "3203322133010233");
}

}  // namespace
}  // namespace gracemoe
