#include "planner/moving.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/contiguous.h"
#include "planner/random_inputs.h"
#include "planner/search_cluster.h"
#include "planner/search_plan.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Experts of 1 MB on 3 nodes of 2 devices: 1 MB/s between nodes, but 0.1 MB/s between 0 and 2;
// 10 MB/s inside nodes, but 5 MB/s inside node 1. No latency.
CostModel three_nodes() {
  CostModel model;
  model.cluster = Cluster::uniform(Topology::grid(3, 2));
  model.cluster.inter_node = {0, 1e6};
  model.cluster.intra_node = {0, 1e7};
  model.cluster.pair_overrides[{0, 2}] = {0, 1e5};
  model.cluster.node_overrides[1] = {0, 5e6};
  model.workload.expert_bytes = 1e6;
  return model;
}

std::vector<LayerPlan> one_layer(std::vector<std::vector<Instance>> experts) {
  std::vector<LayerPlan> layers(1);
  layers[0].experts = std::move(experts);
  return layers;
}

TEST(Moves, CrossTheLinkThatTheyReallyCross) {
  const CostModel model = three_nodes();
  const auto seconds = [&](std::vector<Instance> before, std::vector<Instance> after) {
    return moves_between(model, one_layer({std::move(before)}), one_layer({std::move(after)}))
        .seconds;
  };
  EXPECT_DOUBLE_EQ(seconds({{0}}, {{0}}), 0);
  EXPECT_DOUBLE_EQ(seconds({{0}}, {{1}}), 0.1);          // inside node 0
  EXPECT_DOUBLE_EQ(seconds({{2}}, {{3}}), 0.2);          // inside node 1
  EXPECT_DOUBLE_EQ(seconds({{0}}, {{2}}), 1);            // 0 to 1
  EXPECT_DOUBLE_EQ(seconds({{0}}, {{4}}), 10);           // 0 to 2, over the slow pair
  EXPECT_DOUBLE_EQ(seconds({{0}, {2}}, {{0}, {4}}), 1);  // from the copy on node 1
  EXPECT_DOUBLE_EQ(seconds({{0}, {2}}, {{0}}), 0);       // dropping costs nothing
}

TEST(Moves, AreCountedAndAddUp) {
  const Moves moves = moves_between(three_nodes(), one_layer({{{0}}, {{2}}, {{4}}}),
                                    one_layer({{{1}}, {{2}, {4}}, {{4}}}));
  EXPECT_EQ(moves.instances, 2);
  EXPECT_DOUBLE_EQ(moves.seconds, 0.1 + 1);
}

TEST(Moves, MeansAreOverThePairsOfNodes) {
  const CostModel model = three_nodes();
  EXPECT_DOUBLE_EQ(mean_moving_seconds(model), (1 + 10 + 1) / 3.0);
  EXPECT_DOUBLE_EQ(mean_moving_seconds_inside(model), (0.1 + 0.2 + 0.1) / 3);
  EXPECT_DOUBLE_EQ(mean_seconds_per_byte(model.cluster), 4e-6);
  CostModel one = model;
  one.cluster = Cluster::uniform(Topology::grid(1, 4));
  one.cluster.node_overrides[0] = {1, 1e6};
  EXPECT_DOUBLE_EQ(mean_moving_seconds(one), 2);
  EXPECT_DOUBLE_EQ(mean_moving_seconds_inside(one), 2);
}

TEST(ArrivalCosts, GoByTheCheapestLinkFromWhereAnExpertIs) {
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(3, 2), 2);
  cluster.node_cost = {1, 0.25, 2.5, 0.25, 1, 0.25, 2.5, 0.25, 1};
  EXPECT_THAT(arrival_costs({{0}, {0, 1}}, cluster, 8), ElementsAre(0, 2, 20, 0, 0, 2));
  EXPECT_THAT(arrival_costs({{1}}, SearchCluster::uniform(Topology::grid(1, 3), 1), 8),
              ElementsAre(8, 0, 8));
}

// A link of its own between the only two nodes is the link.
TEST(Replanning, ImbalanceIsWeighedAgainstTheLinkOfThePair) {
  Cluster cluster = Cluster::uniform(Topology::grid(2, 2));
  const double usual = imbalance_cost(make_cost_model(cluster, {}, 512), 2);
  cluster.pair_overrides[{0, 1}] = {0, 0.5 * cluster.inter_node.bytes_per_s};
  EXPECT_NEAR(imbalance_cost(make_cost_model(cluster, {}, 512), 2), 0.5 * usual, 1e-9 * usual);
}

TEST(Replanning, RefusesAPlanOfAnotherCheckpoint) {
  RoutingTrace trace = random_trace(1, 60, 6, 2, 1);
  trace.model = "new";
  trace.fingerprint = "0123";
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerInput input;
  input.statistics = &statistics;
  input.trace = &trace;
  input.model = make_cost_model(Cluster::uniform(Topology::grid(2, 1)), {}, 512);
  Plan from = make_plan(statistics, Topology::grid(2, 1), preset_contiguous());
  from.model = "old";
  from.fingerprint = "4567";
  input.from = &from;
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.001;
  EXPECT_THAT(error_of([&] { make_plan(input, options); }),
              HasSubstr("got a plan for old (fingerprint 4567), wanted new (fingerprint 0123), as "
                        "the trace; plan anew"));
  from.fingerprint.clear();
  EXPECT_EQ(error_of([&] { make_plan(input, options); }), "");
}

}  // namespace
}  // namespace gracemoe
