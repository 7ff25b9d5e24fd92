#include "planner/expected_load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pointwise;

TEST(ServingShares, ByHand) {
  const Topology topology = Topology::grid(2, 2);
  const auto shares = [&](std::vector<Instance> instances) {
    return serving_shares(instances, topology);
  };
  EXPECT_THAT(shares({{2, 5.0}}), ElementsAre(0, 0, 1, 0));
  // At home, else on the node: weights decide nothing.
  EXPECT_THAT(shares({{0, 3.0}, {3, 1.0}}), ElementsAre(0.5, 0, 0, 0.5));
  // Homes 0 and 1 have it; homes 2 and 3 draw by weight.
  EXPECT_THAT(shares({{0, 3.0}, {1, 1.0}}), ElementsAre(0.25 + 0.375, 0.25 + 0.125, 0, 0));
  EXPECT_THAT(shares({{0, 1.0}, {1, 1.0}, {3, 9.0}}), ElementsAre(0.25, 0.25, 0, 0.5));
}

TEST(ServingShares, UnequalNodes) {
  const Topology topology = Topology::of({3, 1});
  // Home 1 of node 0 and node 1's only home are left: the one draws 1 : 3, the other has its own.
  const auto shares = serving_shares({{0, 1.0}, {2, 3.0}, {3, 1.0}}, topology);
  EXPECT_THAT(shares, Pointwise(DoubleNear(1e-12), {0.25 + 0.0625, 0.0, 0.25 + 0.1875, 0.25}));
}

TEST(ExpectedLoad, NothingLoadedIsAllZero) {
  LayerPlan layer;
  layer.experts = {{{0, 1}}, {{1, 1}, {2, 1}}};
  const std::vector<double> none(2);
  EXPECT_THAT(expected_load(layer, none, Topology::grid(2, 2)), Each(0));
}

// [devices] shares of the computations when every home sees every token.
std::vector<double> replayed_load(const Plan& plan, const RoutingTrace& trace) {
  const RoutingTrace all = at_every_home(trace, plan.topology.devices());
  const RoutingMetrics m = evaluate(plan, all, RoutingPolicy::kTopologyAware, 1).total;
  std::vector<double> shares(m.load.begin(), m.load.end());
  const double total = std::accumulate(shares.begin(), shares.end(), 0.0);
  for (double& s : shares) s /= total;
  return shares;
}

std::vector<double> loads_of(const RoutingTrace& trace) {
  std::vector<double> load(at(trace.num_experts));
  for (const auto e : trace.experts) ++load[e];
  return load;
}

// Instances on every node, one each: the token's home decides everything.
TEST(ExpectedLoad, IsTheReplaysWhereWeightsDecideNothing) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Topology topology = random_topology(random);
    const RoutingTrace trace = random_trace(seed, 100, 10, 3, 1);
    LayerPlan layer;
    for (int e = 0; e < 10; ++e) {
      layer.experts.emplace_back();
      if (random.below(2) == 0) {
        layer.experts.back().push_back({random.below(topology.devices()), 1.0});
        continue;
      }
      for (int node = 0; node < topology.nodes(); ++node)
        layer.experts.back().push_back(
            {topology.first_device(node) + random.below(topology.devices_on(node)),
             0.1 + random_unit(random)});
    }
    const auto expected = expected_load(layer, loads_of(trace), topology);
    EXPECT_NEAR(std::accumulate(expected.begin(), expected.end(), 0.0), 1, 1e-12);
    EXPECT_THAT(replayed_load(plan_of(trace, topology, {layer}), trace),
                Pointwise(DoubleNear(1e-12), expected));
  }
}

TEST(ExpectedLoad, IsTheReplaysWithinSamplingError) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Topology topology = random_topology(random);
    const RoutingTrace trace = random_trace(seed, 2000, 10, 3, 1);
    LayerPlan layer;
    for (const auto& devices : random_places(random, 10, topology.devices(), 4)) {
      layer.experts.emplace_back();
      for (const int d : devices) layer.experts.back().push_back({d, 0.1 + random_unit(random)});
    }
    const auto expected = expected_load(layer, loads_of(trace), topology);
    EXPECT_NEAR(std::accumulate(expected.begin(), expected.end(), 0.0), 1, 1e-12);
    // 6000 pairs from each home: a share s has a standard deviation below sqrt(s / 6000) = 0.013.
    EXPECT_THAT(replayed_load(plan_of(trace, topology, {layer}), trace),
                Pointwise(DoubleNear(0.03), expected));
  }
}

}  // namespace
}  // namespace gracemoe
