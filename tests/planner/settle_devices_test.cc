#include "planner/settle_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "planner/expected_load.h"
#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

double mean(std::span<const double> values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// Draws come in pairs that differ from the text by plus and minus the same.
TEST(DrawnLoads, AreTheTextsInTheMean) {
  const RoutingTrace trace = random_trace(3, 400, 10, 3, 2);
  const std::vector<double> share{0.75, 0.25};
  const DrawnLoads texts(trace, 1, 1000, share);
  std::vector<double> load(10);
  for (std::int64_t t = 0; t < trace.tokens(); ++t)
    for (const auto e : trace.chosen(t, 1)) ++load[e];
  bool differ = false;
  for (int e = 0; e < 10; ++e)
    for (int node = 0; node < 2; ++node) {
      const auto flow = texts.flow(node, e);
      EXPECT_NEAR(mean(flow), share[at(node)] * load[at(e)] / 1200, 1e-12);
      differ |= flow[0] != flow[1];
    }
  EXPECT_TRUE(differ);
}

// A text of one part tells nothing of the next.
TEST(DrawnLoads, NothingSelectedIsNoLoad) {
  RoutingTrace trace = random_trace(3, 40, 10, 3, 1);
  trace.sequence.clear();
  trace.experts.clear();
  const std::vector<double> share{1};
  const DrawnLoads texts(trace, 0, 1000, share);
  for (const double flow : texts.flow(0, 3)) EXPECT_EQ(flow, 0);
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(1, 2), 10);
  const LayerPlan layer = in_order(trace, cluster.topology).layers[0];
  EXPECT_EQ(expected_imbalance(layer, texts, 3, cluster, 0), 1);
}

// Every part of the text selects the same: what is expected is what the text shows.
TEST(ExpectedImbalance, WithoutDriftItIsThatOfExpectedLoad) {
  Random random(5);
  RoutingTrace trace = random_trace(5, 8, 10, 3, 1);
  const auto once = trace.experts;
  for (int s = 1; s < 12; ++s) {
    trace.experts.insert(trace.experts.end(), once.begin(), once.end());
    trace.sequence.insert(trace.sequence.end(), 8, s);
  }
  const Topology topology = Topology::parse("2,1");
  const SearchCluster cluster = SearchCluster::uniform(topology, 10);
  const DrawnLoads texts(trace, 0, 1000, cluster.node_share());
  LayerPlan layer;
  for (const auto& devices : random_places(random, 10, 3, 3)) {
    layer.experts.emplace_back();
    for (const int d : devices) layer.experts.back().push_back({d, 0.1 + random_unit(random)});
  }
  std::vector<double> load(10);
  for (const auto e : trace.experts) ++load[e];
  const auto work = expected_load(layer, load, topology);
  EXPECT_NEAR(expected_imbalance(layer, texts, 3, cluster, 0),
              3 * *std::max_element(work.begin(), work.end()), 1e-9);
}

TEST(SettleDevices, EvenerWithinRoomsAndNodes) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Topology topology = random_topology(random);
    const int experts = 4 + random.below(20);
    const RoutingTrace trace = random_trace(seed, 200, experts, 3, 1);
    SearchCluster cluster = SearchCluster::uniform(topology, experts);
    const DrawnLoads texts(trace, 0, 1000, cluster.node_share());
    Plan plan = plan_of(trace, topology, {LayerPlan{}});
    LayerPlan& layer = plan.layers[0];
    for (const auto& devices : random_places(random, experts, topology.devices(), 2)) {
      layer.experts.emplace_back();
      for (const int d : devices) layer.experts.back().push_back({d, 1});
    }
    for (int d = 0; d < topology.devices(); ++d)
      cluster.max_experts[at(d)] = static_cast<int>(plan.experts_on(0, d).size()) + random.below(2);
    const Plan old = plan;
    const double step_tokens = seed % 3 == 0 ? 40 : 0;
    const double before = expected_imbalance(layer, texts, 3, cluster, step_tokens);
    const double after = settle_devices(layer, texts, 3, cluster, step_tokens, 500, seed);
    validate(plan, "settled");
    EXPECT_LE(after, before);
    EXPECT_NEAR(after, expected_imbalance(layer, texts, 3, cluster, step_tokens), 1e-9);
    for (std::size_t e = 0; e < layer.experts.size(); ++e)
      for (std::size_t i = 0; i < layer.experts[e].size(); ++i)
        EXPECT_EQ(topology.node_of(layer.experts[e][i].device),
                  topology.node_of(old.layers[0].experts[e][i].device));
    for (int d = 0; d < topology.devices(); ++d)
      EXPECT_LE(static_cast<int>(plan.experts_on(0, d).size()), cluster.max_experts[at(d)]);
  }
}

TEST(SettleDevices, WithoutProposalsNothingMoves) {
  const RoutingTrace trace = random_trace(2, 200, 16, 3, 1);
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 4), 16);
  const DrawnLoads texts(trace, 0, 1000, cluster.node_share());
  LayerPlan layer = in_order(trace, cluster.topology).layers[0];
  const LayerPlan old = layer;
  const double before = expected_imbalance(layer, texts, 3, cluster, 0);
  settle_devices(layer, texts, 3, cluster, 0, 0, 1);
  EXPECT_EQ(layer, old);
  EXPECT_LT(settle_devices(layer, texts, 3, cluster, 0, 2000, 1), 0.95 * before);
}

}  // namespace
}  // namespace gracemoe
