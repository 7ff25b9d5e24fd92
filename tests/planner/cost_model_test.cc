#include "planner/cost_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "planner/planner.h"
#include "planner/random_inputs.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

// Round figures: 2 x 2 devices, 1 MB/s and 1 ms between nodes, 10 MB/s and 0.1 ms inside.
CostModel round_model() {
  CostModel model;
  model.cluster = Cluster::uniform(Topology::grid(2, 2));
  model.cluster.inter_node = {1e-3, 1e6};
  model.cluster.intra_node = {1e-4, 1e7};
  model.workload = {10, 1000, 2000, 0, 1e6, 900};
  model.seconds_per_token_expert = 1e-3;
  model.seconds_per_expert_read = 1e-2;
  return model;
}

LayerTraffic round_traffic() {
  LayerTraffic traffic;
  traffic.node_rows = {0, 5, 3, 0};
  traffic.node_sent = {5, 3};
  traffic.node_received = {3, 5};
  traffic.cross = {1000, 2000};
  traffic.sent = {4, 0, 1, 1};
  traffic.received = {0, 4, 1, 1};
  traffic.intra = {1000, 1500};
  traffic.entries = {10, 20, 5, 5};
  traffic.active = {2, 1, 5, 4};
  return traffic;
}

TEST(CostModel, ByHand) {
  const LayerTime time = predict(round_model(), round_traffic());
  // Node 0 sends 5 rows of 1000 bytes, then takes 5 of 2000: 1 ms latency each way.
  EXPECT_DOUBLE_EQ(time.cross_node_s, (1e-3 + 5e-3) + (1e-3 + 10e-3));
  EXPECT_NEAR(time.intra_node_s, (1e-4 + 4e-4) + (1e-4 + 6e-4), 1e-12);
  EXPECT_DOUBLE_EQ(time.compute_s, 5 * 1e-3 + 5 * 1e-2);  // device 2, for its experts
}

TEST(CostModel, SlowerDevicesAndLinksOfTheirOwnCount) {
  CostModel model = round_model();
  model.cluster.devices[1].speed = 0.25;
  EXPECT_DOUBLE_EQ(predict(model, round_traffic()).compute_s, (20e-3 + 1e-2) / 0.25);
  model.cluster.pair_overrides[{0, 1}] = {0, 2e6};
  EXPECT_DOUBLE_EQ(predict(model, round_traffic()).cross_node_s, 7.5e-3);
  model.cluster.node_overrides[1] = {0.5, 1e7};
  EXPECT_NEAR(predict(model, round_traffic()).intra_node_s, 1 + 2.5e-4, 1e-12);
}

TEST(CostModel, WithoutPairsTheClassCounts) {
  CostModel model = round_model();
  LayerTraffic traffic = round_traffic();
  const double with_pairs = predict(model, traffic).cross_node_s;
  traffic.node_rows.clear();
  EXPECT_DOUBLE_EQ(predict(model, traffic).cross_node_s, with_pairs);
}

TEST(CostModel, OneNodeHasNoLinkToCross) {
  CostModel model = round_model();
  model.cluster = Cluster::uniform(Topology::grid(1, 1));
  const RoutingTrace trace = random_trace(1, 40, 8, 2, 1);
  const Plan plan = make_plan(count_statistics(trace), model.cluster.topology, preset_contiguous());
  const LayerTime time = predict(model, evaluate(plan, trace, RoutingPolicy::kPrimary).layers[0]);
  EXPECT_EQ(time.cross_node_s, 0);
  EXPECT_EQ(time.intra_node_s, 0);
  EXPECT_GT(time.compute_s, 0);
}

TEST(CostModel, FiguresOfAnExpert) {
  const CostModel model =
      make_cost_model(Cluster::uniform(Topology::grid(1, 1)), ExpertShape{2048, 1024}, 64);
  EXPECT_DOUBLE_EQ(model.workload.expert_bytes, 12582912);
  EXPECT_DOUBLE_EQ(model.seconds_per_token_expert, 12582912 / 100e12);
  EXPECT_DOUBLE_EQ(model.seconds_per_expert_read, 12582912 / 1.4e12);
  EXPECT_EQ(model.workload.row_bytes, 4096);
  EXPECT_EQ(model.workload.return_row_bytes, 8192);
  EXPECT_EQ(model.workload.cross_return_row_bytes, 3840);
}

// Rows with 1, 2 and 3 entries come back as 1, 2 and 2 units of a row inside a node; between nodes
// those with more than one as a packed sum.
TEST(CostModel, RowsComeBackAsTheReductionSays) {
  CostModel model = round_model();
  model.workload.entry_bytes = 7;
  RoutingMetrics m;
  m.tokens = 40;
  m.load = {1, 1, 1, 1};
  m.instance_load.resize(4);
  m.node_groups = {0, 1, 1, 2};
  m.intra_groups = {0, 2, 1, 1};
  const LayerTraffic traffic = step_traffic(model, m);
  EXPECT_DOUBLE_EQ(traffic.cross.dispatch, 1000 + 7 * 9 / 4.0);
  EXPECT_DOUBLE_EQ(traffic.cross.combine, (1000 + 3 * 900) / 4.0);
  EXPECT_DOUBLE_EQ(traffic.intra.combine, (1 + 1 + 2 + 2) * 1000 / 4.0);
  model.workload.cross_return_row_bytes = std::numeric_limits<double>::infinity();
  EXPECT_DOUBLE_EQ(step_traffic(model, m).cross.combine, 9 * 1000 / 4.0);
}

// The expected number of active experts against drawing steps at random.
TEST(CostModel, ActiveExpertsAgreeWithDraws) {
  const int experts = 8, top_k = 2;
  const RoutingTrace trace = random_trace(3, 4000, experts, top_k, 1);
  CostModel model = round_model();
  model.workload.tokens_per_device = 2;  // 8 tokens a step
  const Plan plan = make_plan(count_statistics(trace), model.cluster.topology, preset_contiguous());
  const LayerTraffic traffic =
      step_traffic(model, evaluate(plan, trace, RoutingPolicy::kPrimary).layers[0]);
  std::vector<double> drawn(4);
  Random random(5);
  const int steps = 4000;
  for (int step = 0; step < steps; ++step) {
    std::vector<bool> used(static_cast<std::size_t>(experts));
    for (int token = 0; token < 8; ++token)
      for (const auto expert : trace.chosen(random.below(4000), 0)) used[expert] = true;
    for (std::size_t e = 0; e < used.size(); ++e) drawn[e / 2] += used[e] ? 1.0 / steps : 0;
  }
  for (std::size_t d = 0; d < 4; ++d) EXPECT_NEAR(traffic.active[d], drawn[d], 0.05) << d;
}

// Sums over nodes and devices agree with the totals of the metrics.
TEST(CostModel, TrafficIsScaledToOneStep) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Random random(seed);
    const RoutingTrace trace = random_trace(seed, 160, 16, 4, 2);
    const Plan plan = make_plan(count_statistics(trace), random_topology(random), preset_grace());
    const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware);
    const CostModel model = make_cost_model(Cluster::uniform(plan.topology), {}, 10);
    const double step = 10.0 * plan.topology.devices() / 160;
    for (const RoutingMetrics& m : metrics.layers) {
      const LayerTraffic t = step_traffic(model, m);
      const auto sum = [](const std::vector<double>& v) {
        double total = 0;
        for (const double x : v) total += x;
        return total;
      };
      EXPECT_NEAR(sum(t.node_rows), static_cast<double>(m.cross_node_rows.hierarchical) * step,
                  1e-9);
      EXPECT_NEAR(sum(t.node_sent), sum(t.node_rows), 1e-9);
      EXPECT_NEAR(sum(t.received), static_cast<double>(m.intra_node_rows.hierarchical) * step,
                  1e-9);
      EXPECT_NEAR(sum(t.entries), 4 * 10.0 * plan.topology.devices(), 1e-9);
      for (std::size_t d = 0; d < t.active.size(); ++d)
        EXPECT_LE(t.active[d], static_cast<double>(m.instance_load[d].size()));
    }
  }
}

TEST(CostModel, PlansCarryTheirTimeAndWhatItRestsOn) {
  const RoutingTrace trace = random_trace(1, 160, 16, 4, 2);
  const Topology topology = Topology::grid(2, 2);
  Plan plan = make_plan(count_statistics(trace), topology, preset_grace());
  const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware);
  CostModel model = make_cost_model(Cluster::uniform(topology), {}, 64);
  model.cluster.devices[3].speed = 0.5;
  model.cluster.pair_overrides[{0, 1}] = {1e-3, 1e9 / 8};
  note_predicted_time(plan, metrics, model);
  EXPECT_EQ(plan.layers[1].predicted_time, predict(model, metrics.layers[1]));
  EXPECT_NEAR(
      mean_layer_time(model, metrics).total_s(),
      (plan.layers[0].predicted_time.total_s() + plan.layers[1].predicted_time.total_s()) / 2,
      1e-15);
  for (const char* figure :
       {"64 tokens a device", "rows of 4096 bytes", "sums of 8192 back (3840 between nodes)",
        "experts of 12.58 MB", "between nodes 25 Gbit/s, 20 us", "inside a node 200 Gbit/s, 5 us",
        "nodes 0-1 1 Gbit/s, 1000 us", "device speeds 1 1 1 0.5", "figures assumed"})
    EXPECT_THAT(plan.time_basis, HasSubstr(figure));
}

TEST(CostModel, EmptyTraceAndOtherTopologies) {
  RoutingTrace trace = random_trace(1, 40, 8, 2, 2);
  const Plan plan = make_plan(count_statistics(trace), Topology::grid(2, 2), preset_contiguous());
  const CostModel model = round_model();
  const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kPrimary);
  CostModel other = model;
  other.cluster = Cluster::uniform(Topology::grid(4, 1));
  EXPECT_THAT(error_of([&] { predict(other, metrics.layers[0]); }, ErrorCategory::kInternal),
              HasSubstr("another topology"));
  EXPECT_THAT(error_of([&] { predict(model, metrics.total); }, ErrorCategory::kInternal),
              HasSubstr("one layer"));
  trace.sequence.clear();
  trace.experts.clear();
  EXPECT_EQ(mean_layer_time(model, evaluate(plan, trace, RoutingPolicy::kPrimary)), LayerTime{});
}

}  // namespace
}  // namespace gracemoe
