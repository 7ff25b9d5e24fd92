#include "planner/search_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/hash.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

// Two families of experts, even and odd, that are chosen together; the first of each is hot.
RoutingTrace families(int tokens) {
  RoutingTrace trace;
  trace.num_experts = 12;
  trace.top_k = 3;
  trace.layers = 2;
  for (int t = 0; t < tokens; ++t) {
    trace.sequence.push_back(t / 50);
    for (int layer = 0; layer < trace.layers; ++layer) {
      std::set<int> chosen;
      for (std::uint64_t i = 0; chosen.size() < 3; ++i) {
        const auto draw = hash_combine(hash_combine(static_cast<std::uint64_t>(t), i),
                                       static_cast<std::uint64_t>(layer));
        const int of_family = draw % 3 == 0 ? 0 : static_cast<int>(draw / 7 % 6);
        chosen.insert(2 * of_family + (t + layer) % 2);
      }
      for (const int e : chosen) trace.experts.push_back(static_cast<std::uint16_t>(e));
    }
  }
  return trace;
}

// DeepSeek's replication example.
RoutingStatistics few_hot_experts() {
  RoutingStatistics statistics;
  statistics.num_experts = 8;
  statistics.layers = 1;
  statistics.top_k = 1;
  statistics.load = {600, 560, 120, 120, 20, 10, 10, 10};
  return statistics;
}

TEST(SampleTrace, KeepsLoadsAndPairs) {
  const RoutingStatistics truth = count_statistics(families(6000));
  const RoutingTrace sampled = sample_trace(truth, 12000, 1, 0);
  const RoutingStatistics seen = count_statistics(sampled);
  ASSERT_EQ(sampled.tokens(), 12000);
  for (std::size_t i = 0; i < truth.load.size(); ++i)
    EXPECT_NEAR(seen.load[i] / 12000, truth.load[i] / 6000, 0.03) << i;
  double within = 0, across = 0;
  for (int i = 0; i < 12; ++i)
    for (int j = 0; j < 12; ++j)
      (i % 2 == j % 2 ? within : across) += seen.affinity[static_cast<std::size_t>(i * 12 + j)];
  EXPECT_LT(across, 0.05 * within);  // in truth never
}

TEST(SampleTrace, LoadsAloneAndNothing) {
  RoutingStatistics truth = count_statistics(families(3000));
  truth.affinity.clear();
  const RoutingStatistics seen = count_statistics(sample_trace(truth, 6000, 1, 2));
  for (std::size_t i = 0; i < truth.load.size(); ++i)
    EXPECT_NEAR(seen.load[i] / 6000, truth.load[i] / 3000, 0.03) << i;
  for (double& l : truth.load) l = 0;
  EXPECT_EQ(sample_trace(truth, 100, 1, 1).tokens(), 0);
}

TEST(SampleTrace, IsTheSameForAnyThreads) {
  const RoutingStatistics truth = count_statistics(families(500));
  EXPECT_EQ(sample_trace(truth, 300, 7, 1).experts, sample_trace(truth, 300, 7, 3).experts);
}

PlannerInput input_of(const RoutingStatistics& statistics, const Cluster& cluster) {
  PlannerInput input;
  input.statistics = &statistics;
  input.model = make_cost_model(cluster, {}, 512);
  return input;
}

TEST(SearchPlan, FindsTheFamiliesFromATraceAndFromAffinityAlone) {
  const RoutingTrace trace = families(3000);
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.05;
  options.memory_budget = 1;
  options.balance_bound = 1.2;
  PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(2, 1)));
  for (const RoutingTrace* given : {&trace, static_cast<const RoutingTrace*>(nullptr)}) {
    input.trace = given;
    const Plan plan = make_plan(input, options);
    const PlanMetrics m = evaluate(plan, trace, RoutingPolicy::kTopologyAware);
    EXPECT_NEAR(m.total.nodes_visited, 0.5, 0.02);  // home's node, or the other
    EXPECT_EQ(plan.copies(), 0);
  }
}

TEST(SearchPlan, LoadsAloneGiveBalance) {
  RoutingStatistics statistics = count_statistics(families(3000));
  statistics.affinity.clear();
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.05;
  const Plan plan =
      make_plan(input_of(statistics, Cluster::uniform(Topology::grid(2, 2))), options);
  for (const LayerPlan& layer : plan.layers) EXPECT_LT(layer.skew, 1.15);
}

TEST(SearchPlan, FasterDevicesDoMore) {
  const RoutingTrace trace = families(3000);
  const RoutingStatistics statistics = count_statistics(trace);
  Cluster cluster = Cluster::uniform(Topology::grid(1, 2));
  cluster.devices[1].speed = 3;
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.05;
  options.memory_budget = 1;
  PlannerInput input = input_of(statistics, cluster);
  input.trace = &trace;
  for (const LayerPlan& layer : make_plan(input, options).layers)
    EXPECT_NEAR(layer.predicted_load[1], 0.75, 0.05);
}

TEST(SearchPlan, APlanForAnotherClusterOrModelIsNoStart) {
  const RoutingTrace trace = families(300);
  const RoutingStatistics statistics = count_statistics(trace);
  Plan from = make_plan(statistics, Topology::grid(2, 1), preset_contiguous());
  PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(2, 2)));
  input.trace = &trace;
  input.from = &from;
  EXPECT_THAT(error_of([&] { make_plan(input, preset_grace_plus()); }),
              HasSubstr("a cluster 2x1, wanted 2x2"));
  from.layers.pop_back();
  EXPECT_THAT(error_of([&] { make_plan(input, preset_grace_plus()); }),
              HasSubstr("1 layer of 12 experts"));
}

// What the plan itself is predicted to take, inside nodes too, is what its row of the curve says;
// and so do the rows beside it, of plans that differ by some copies.
TEST(SearchPlan, TheMemoryCurveHasThePlansOwnFigures) {
  const RoutingTrace trace = families(3000);
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.05;
  for (const char* shape : {"2x2", "1x3"}) {
    PlannerInput input = input_of(statistics, Cluster::uniform(Topology::parse(shape)));
    input.trace = &trace;
    const Plan plan = make_plan(input, options);
    const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware);
    const LayerTime time = mean_layer_time(input.model, metrics);
    ASSERT_GT(time.intra_node_s, 0);
    std::vector<MemoryPoint> own;
    double least = 1, most = 0;
    for (std::size_t i = 0; i < plan.memory_curve.size(); ++i) {
      const MemoryPoint& p = plan.memory_curve[i];
      if (i > 0) {
        EXPECT_GT(p.extra_memory, plan.memory_curve[i - 1].extra_memory);
      }
      if (p.extra_memory == metrics.total.extra_memory) own.push_back(p);
      least = std::min(least, p.layer_time_s);
      most = std::max(most, p.layer_time_s);
    }
    ASSERT_EQ(own.size(), 1U);
    EXPECT_NEAR(own[0].layer_time_s, time.total_s(), 1e-12);
    EXPECT_EQ(own[0].nodes_visited, metrics.total.nodes_visited);
    EXPECT_EQ(own[0].load_max_over_mean, metrics.total.load_max_over_mean);
    EXPECT_GT(least, time.compute_s);
    EXPECT_LT(most, 2 * time.total_s());
  }
}

// Whatever keeps this plan's devices equal does not end the curve.
TEST(SearchPlan, TheMemoryCurveGoesToTwiceTheMemory) {
  const RoutingTrace trace = families(500);
  const RoutingStatistics statistics = count_statistics(trace);
  ASSERT_LT(statistics.layers, 4);
  PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(2, 2)));
  input.trace = &trace;
  for (const bool same_slots : {false, true}) {
    PlannerOptions options = preset_grace_plus();
    options.effort = 0.01;
    options.same_slots = same_slots;
    const Plan plan = make_plan(input, options);
    ASSERT_GE(plan.memory_curve.size(), 5U) << same_slots;
    EXPECT_EQ(plan.memory_curve.front().extra_memory, 0);
    EXPECT_GT(plan.memory_curve.back().extra_memory, 0.9);
    EXPECT_LT(plan.memory_curve.back().nodes_visited, 0.1);
  }
}

// Where balance decides, a row is what a plan with that memory reaches.
TEST(SearchPlan, TheMemoryCurveKeepsTheBoundWhereItCanBeKept) {
  const RoutingStatistics statistics = few_hot_experts();
  const PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(1, 8)));
  const auto planned = [&](double budget) {
    PlannerOptions options = preset_grace_plus();
    options.effort = 0.01;
    options.memory_budget = budget;
    return make_plan(input, options);
  };
  int compared = 0;
  for (const MemoryPoint& row : planned(2).memory_curve) {
    if (row.extra_memory == 0) continue;
    for (const MemoryPoint& own : planned(1 + row.extra_memory).memory_curve)
      if (own.extra_memory == row.extra_memory) {
        EXPECT_NEAR(row.load_max_over_mean, own.load_max_over_mean, 0.1) << row.extra_memory;
        ++compared;
      }
  }
  EXPECT_GE(compared, 5);
}

// Memory is kept whatever else is asked for, and by plans that nothing was searched for.
TEST(SearchPlan, WhatMemoryDoesNotHoldIsRefused) {
  const RoutingTrace trace = families(200);
  const RoutingStatistics statistics = count_statistics(trace);
  Cluster cluster = Cluster::uniform(Topology::grid(2, 4));
  const double expert = make_cost_model(cluster, {64, 32}, 512).workload.expert_bytes;
  for (DeviceSpec& device : cluster.devices) device.memory_bytes = 6 * expert;
  cluster.devices[7].memory_bytes = 3.5 * expert;
  PlannerInput input = input_of(statistics, cluster);
  input.model = make_cost_model(cluster, {64, 32}, 512);
  input.trace = &trace;
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.01;
  const Plan plan = make_plan(input, options);
  EXPECT_LE(plan.instances_held()[7], 3);
  options.same_slots = true;
  EXPECT_THAT(error_of([&] { make_plan(input, options); }),
              HasSubstr("same slots on every device: memory of device 7: got room for 3 experts in "
                        "all, wanted 2 in each of 2 layers"));
  options.same_slots = false;
  RoutingTrace nothing = trace;
  nothing.sequence.clear();
  nothing.experts.clear();
  const RoutingStatistics none = count_statistics(nothing);
  input.statistics = &none;
  input.trace = &nothing;
  EXPECT_THAT(error_of([&] { make_plan(input, options); }),
              HasSubstr("preset grace+: device 7: got 4 experts over all layers"));
}

TEST(SearchPlan, WithoutTokensSlotsAreEqualToo) {
  RoutingTrace trace = families(10);
  trace.sequence.clear();
  trace.experts.clear();
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(1, 5)));
  input.trace = &trace;
  PlannerOptions options = preset_grace_plus();
  options.same_slots = true;
  const Plan plan = make_plan(input, options);
  for (int d = 0; d < 5; ++d) EXPECT_EQ(plan.experts_on(1, d).size(), 3U);
}

TEST(SearchPlan, StatisticsGiveAPredictedTimeToo) {
  const RoutingStatistics statistics = count_statistics(families(500));
  const PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(2, 2)));
  const PlannerOptions options = preset_contiguous();
  Plan plan = make_plan(input, options);
  note_expected_time(plan, input, options);
  EXPECT_GT(plan.layers[0].predicted_time.total_s(), 0);
  EXPECT_THAT(plan.time_basis, HasSubstr("; tokens drawn from statistics"));
}

TEST(BudgetInMemory, WhatFitsBetweenOneOfEachAndAllEverywhere) {
  RoutingStatistics statistics;
  statistics.num_experts = 8;
  statistics.layers = 5;
  Cluster cluster = Cluster::uniform(Topology::grid(2, 2));
  CostModel model = make_cost_model(cluster, {64, 32}, 512);
  const double expert = model.workload.expert_bytes;
  const auto budget = [&](std::initializer_list<double> experts) {
    auto memory = experts.begin();
    for (DeviceSpec& device : model.cluster.devices) device.memory_bytes = *memory++ * expert;
    return budget_in_memory(model, statistics);
  };
  EXPECT_DOUBLE_EQ(budget({12.9, 12, 12, 14}), 50 / 40.0);  // 40 experts; a part of one is none
  EXPECT_DOUBLE_EQ(budget({12, 0, 12, 20}), 44 / 40.0);
  EXPECT_EQ(budget({1, 1, 1, 1}), 1);
  EXPECT_EQ(budget({900, 900, 900, 900}), 4);
  statistics.layers = 0;
  EXPECT_EQ(budget({1, 1, 1, 1}), 1);
}

// An old plan for one step: moving never pays, but memory and slots are what they are.
TEST(SearchPlan, AnOldPlanBeyondTheLimitsIsNotKept) {
  const RoutingTrace trace = families(300);
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerInput input = input_of(statistics, Cluster::uniform(Topology::grid(2, 2)));
  input.trace = &trace;
  input.steps = 1;
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.01;
  options.memory_budget = 1.5;
  Plan from = make_plan(statistics, Topology::grid(2, 2), preset_contiguous());
  for (LayerPlan& layer : from.layers)  // 6, 3, 3 and 3 experts
    for (std::size_t e = 9; e < 12; ++e) layer.experts[e].push_back({0, 1});
  input.from = &from;
  EXPECT_EQ(make_plan(input, options).layers, from.layers);
  options.same_slots = true;
  EXPECT_NE(make_plan(input, options).layers, from.layers);
  options.same_slots = false;
  for (DeviceSpec& device : input.model.cluster.devices)
    device.memory_bytes = 10.5 * input.model.workload.expert_bytes;
  const Plan fits = make_plan(input, options);
  for (int d = 0; d < 4; ++d)
    EXPECT_LE(fits.experts_on(0, d).size() + fits.experts_on(1, d).size(), 10U);
}

// Shared by devices where the heaviest experts are.
TEST(SearchPlan, OneLayerOfFewHotExpertsIsBalanced) {
  const RoutingStatistics statistics = few_hot_experts();
  PlannerOptions options = preset_grace_plus();
  options.effort = 0.01;
  options.memory_budget = 2;
  const Plan plan =
      make_plan(input_of(statistics, Cluster::uniform(Topology::grid(1, 8))), options);
  EXPECT_LE(plan.layers[0].skew * 181.25, 200);  // balance alone has 196.67 at best
  EXPECT_LE(plan.copies(), 8);
}

TEST(SearchPlan, ImbalanceIsDearerWhereLinksAreFast) {
  Cluster cluster = Cluster::uniform(Topology::grid(2, 2));
  const double slow = imbalance_cost(make_cost_model(cluster, {}, 512), 8);
  cluster.inter_node.bytes_per_s *= 10;
  EXPECT_NEAR(imbalance_cost(make_cost_model(cluster, {}, 512), 8), 10 * slow, 1e-6 * slow);
}

}  // namespace
}  // namespace gracemoe
