#include "planner/device_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <set>

#include "planner/expected_load.h"
#include "planner/layer_curve.h"
#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Pointwise;

constexpr Annealing kShort{500};

// A trace's only layer, on a cluster of this shape.
struct Searched {
  Searched(RoutingTrace made_from, const char* shape, const SearchGoal& with = {})
      : trace(std::move(made_from)),
        topology(Topology::parse(shape)),
        cluster(SearchCluster::uniform(topology, trace.num_experts)),
        bits(layer_bits(trace, 0, 1 << 16)),
        goal(with),
        problem(place_problem(bits, trace.top_k, cluster, goal)) {}
  Searched(const Searched&) = delete;
  Searched& operator=(const Searched&) = delete;

  RoutingMetrics replayed(const LayerPlan& layer) const {
    const Plan plan = plan_of(trace, topology, {layer});
    return evaluate(plan, at_every_home(trace, topology.devices()), RoutingPolicy::kTopologyAware,
                    1)
        .total;
  }
  std::vector<int> held(const LayerPlan& layer) const {
    std::vector<int> counts(at(topology.devices()));
    for (const auto& instances : layer.experts)
      for (const Instance& i : instances) ++counts[at(i.device)];
    return counts;
  }

  RoutingTrace trace;
  Topology topology;
  SearchCluster cluster;
  TokenBits bits;
  SearchGoal goal;
  VisitProblem problem;
};

// The search's visits and loads are what routing does: with the mean over homes taken exactly, and
// a weight of a millionth too little to be drawn in these traces.
TEST(SearchDevices, VisitsAndLoadsAreTheReplays) {
  for (const char* shape : {"2x1", "2x2", "2x3", "3x2", "3,1", "1,2,1", "1x3", "4x1"})
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      SCOPED_TRACE(shape + (" " + std::to_string(seed)));
      const Searched s(random_trace(seed, 150, 12, 3, 1), shape);
      Random random(seed);
      const VisitState state(s.problem, random_places(random, 12, s.problem.places, 2));
      const LayerPlan layer = search_devices(state, s.cluster, s.goal, kShort, seed);
      validate(plan_of(s.trace, s.topology, {layer}), "searched");
      const RoutingMetrics m = s.replayed(layer);
      EXPECT_NEAR(s.topology.nodes() > 1 ? m.nodes_visited : m.devices_visited, state.visits(),
                  1e-9);
      const auto load = expected_load(layer, s.bits.load(), s.topology);
      for (std::size_t d = 0; d < load.size(); ++d)
        EXPECT_NEAR(static_cast<double>(m.load[d]) / static_cast<double>(m.tokens * s.trace.top_k),
                    load[d], 1e-5);
      EXPECT_NEAR(device_imbalance(layer, s.bits, 3, s.cluster, 0),
                  *std::max_element(load.begin(), load.end()) * s.topology.devices(), 1e-9);
      // Instances are where the state has them.
      for (int e = 0; e < 12; ++e) {
        std::set<int> places;
        for (const Instance& i : layer.experts[at(e)]) places.insert(s.cluster.place_of(i.device));
        EXPECT_EQ(places.size(), layer.experts[at(e)].size());
        for (int p = 0; p < s.problem.places; ++p)
          EXPECT_EQ(places.count(p) == 1, state.holds(e, p));
        EXPECT_EQ(s.cluster.place_of(layer.experts[at(e)].front().device), state.main(e));
      }
    }
}

// Groups of experts always chosen together, two on each node.
TEST(SearchDevices, InsideANodeGroupsStayTogether) {
  Random random(1);
  const Searched s(planted_trace(random, 320, 4, 3, 1), "2x2");
  PlaceLists places(12);
  for (int group = 0; group < 4; ++group)
    for (const auto e : s.trace.chosen(group, 0)) places[e] = {group % 2};
  const VisitState state(s.problem, places);
  const LayerPlan layer = search_devices(state, s.cluster, s.goal, {3000}, 3);
  const RoutingMetrics packed = s.replayed(pack_devices(state, s.cluster));
  const RoutingMetrics found = s.replayed(layer);
  EXPECT_LT(found.intra_node_rows.hierarchical, packed.intra_node_rows.hierarchical);
  // Home or its peer is the group's device half of the time; no token is handed on twice.
  EXPECT_EQ(found.intra_node_rows.hierarchical * 2, found.tokens);
  EXPECT_NEAR(found.load_max_over_mean, 1, 1e-9);
}

TEST(SearchDevices, TheSeedDecides) {
  const Searched s(random_trace(3, 200, 16, 4, 1), "2x4");
  Random random(3);
  const VisitState state(s.problem, random_places(random, 16, 2, 2));
  const auto result = [&](std::uint64_t seed) {
    return search_devices(state, s.cluster, s.goal, kShort, seed);
  };
  EXPECT_EQ(result(1), result(1));
}

TEST(SearchDevices, RoomOfDevicesIsKept) {
  for (std::uint64_t seed = 0; seed < 5; ++seed) {
    Searched s(random_trace(seed, 200, 12, 3, 1), "2,3");
    s.cluster.max_experts = {1, 6, 2, 3, 2};
    s.problem = place_problem(s.bits, 3, s.cluster, s.goal);
    ASSERT_THAT(s.problem.max_experts, ElementsAre(7, 7));
    VisitState state(s.problem, pack_places(s.problem));
    add_copies(state, 2);
    const std::vector<int> held = s.held(search_devices(state, s.cluster, s.goal, kShort, seed));
    for (std::size_t d = 0; d < held.size(); ++d) EXPECT_LE(held[d], s.cluster.max_experts[d]);
  }
}

TEST(SearchDevices, StaysOnTheOldPlansDevicesWhereMovingCosts) {
  const Searched s(random_trace(5, 200, 12, 3, 1), "2x3");
  Random random(5);
  const VisitState state(s.problem, random_places(random, 12, 2, 2));
  LayerPlan old = pack_devices(state, s.cluster);
  for (auto& instances : old.experts)
    for (Instance& i : instances) i.device = s.topology.first_device(s.topology.node_of(i.device));
  EXPECT_EQ(pack_devices(state, s.cluster, &old), old);
  EXPECT_EQ(search_devices(state, s.cluster, s.goal, kShort, 1, &old, 1000), old);
  const LayerPlan free = search_devices(state, s.cluster, s.goal, kShort, 1, &old, 0);
  EXPECT_LT(s.replayed(free).load_max_over_mean, s.replayed(old).load_max_over_mean);
}

// Where the old plan has more on a device than fits now, the rest goes elsewhere.
TEST(PackDevices, TheOldPlansDevicesWithinTheRoom) {
  Searched s(random_trace(5, 200, 12, 3, 1), "2x2");
  s.cluster.max_experts = {3, 3, 3, 3};
  s.problem = place_problem(s.bits, 3, s.cluster, s.goal);
  const VisitState state(s.problem, pack_places(s.problem));
  LayerPlan old = pack_devices(state, s.cluster);
  for (auto& instances : old.experts)
    instances[0].device = s.topology.first_device(s.topology.node_of(instances[0].device));
  EXPECT_THAT(s.held(pack_devices(state, s.cluster, &old)), Each(3));
}

// A device twice as fast is given twice as much.
TEST(PackDevices, LoadFollowsSpeed) {
  Searched s(random_trace(2, 500, 48, 4, 1), "2x2");
  s.cluster.capacity = {0.4, 0.2, 0.2, 0.2};
  s.problem = place_problem(s.bits, 4, s.cluster, s.goal);
  const VisitState state(s.problem, pack_places(s.problem));
  const LayerPlan layer = pack_devices(state, s.cluster);
  EXPECT_THAT(expected_load(layer, s.bits.load(), s.topology),
              Pointwise(DoubleNear(0.03), s.cluster.capacity));
  EXPECT_LT(device_imbalance(layer, s.bits, 4, s.cluster, 0), 1.1);
}

// In experts that a step uses, an expert of half the tokens does not weigh ten times one of 5%.
TEST(DeviceImbalance, InExpertsUsedByAStep) {
  const Searched s(random_trace(4, 300, 8, 2, 1), "1x2");
  LayerPlan layer;
  for (int e = 0; e < 8; ++e) layer.experts.push_back({{e < 2 ? 0 : 1, 1.0}});
  const double step = 16;
  std::vector<double> used(2);
  for (int e = 0; e < 8; ++e)
    used[e < 2 ? 0 : 1] += 1 - std::exp(-s.bits.load()[at(e)] / 300 * step);
  EXPECT_NEAR(device_imbalance(layer, s.bits, 2, s.cluster, step),
              2 * std::max(used[0], used[1]) / (used[0] + used[1]), 1e-9);
}

TEST(DeviceImbalance, NothingLoadedIsBalanced) {
  const TokenBits bits(4, 0);
  LayerPlan layer;
  layer.experts.assign(4, {{0, 1.0}});
  EXPECT_EQ(device_imbalance(layer, bits, 2, SearchCluster::uniform(Topology::grid(2, 2), 4), 0),
            1);
}

// From the loads of every part of the text, by their definition.
TEST(DeviceDrift, WhatPartsOfTheTextShow) {
  Searched s(random_trace(4, 320, 12, 3, 1), "2x2");
  s.cluster.capacity = {0.4, 0.2, 0.2, 0.2};
  Random random(4);
  const VisitState state(s.problem, random_places(random, 12, 2, 2));
  const LayerPlan layer = pack_devices(state, s.cluster);
  std::vector<double> ratios;
  for (int part = -1; part < kTextParts; ++part) {
    std::vector<double> load(12);
    const int length = 320 / kTextParts, first = std::max(0, part * length);
    for (int t = first; t < (part < 0 ? 320 : first + length); ++t)
      for (const auto e : s.trace.chosen(t, 0)) ++load[e];
    const auto work = expected_load(layer, load, s.topology);
    ratios.push_back(0);
    for (std::size_t d = 0; d < 4; ++d)
      ratios.back() = std::max(ratios.back(), work[d] / s.cluster.capacity[d]);
  }
  const double drift = device_drift(layer, s.bits, s.cluster);
  EXPECT_NEAR(drift, expected_on_new_text(ratios) - ratios[0], 1e-9);
  EXPECT_GT(drift, 0);
}

TEST(KeepCopies, BesideOthersOfTheirNode) {
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 3);
  LayerPlan old, layer;
  old.experts = {{{0, 1.0}, {1, 1.0}, {2, 1.0}}, {{3, 1.0}, {2, 1.0}}, {{0, 1.0}}};
  layer.experts = {{{0, 0.5}}, {{2, 1.0}}, {{3, 1.0}}};
  LayerPlan some = layer, none = layer;
  EXPECT_EQ(keep_copies(layer, old, cluster, 9), 2);
  EXPECT_THAT(layer.experts[0], ElementsAre(Instance{0, 0.5}, Instance{1, 0.5}));
  EXPECT_THAT(layer.experts[1], ElementsAre(Instance{2, 1.0}, Instance{3, 1.0}));
  EXPECT_THAT(layer.experts[2], ElementsAre(Instance{3, 1.0}));  // its node is another now
  EXPECT_EQ(keep_copies(some, old, cluster, 1), 1);
  cluster.max_experts = {1, 0, 1, 1};
  EXPECT_EQ(keep_copies(none, old, cluster, 9), 0);
}

// All tokens on expert 0 (and one of the others).
RoutingTrace one_hot_trace(int tokens, int experts) {
  RoutingTrace trace;
  trace.num_experts = experts;
  trace.top_k = 2;
  trace.layers = 1;
  for (int t = 0; t < tokens; ++t) {
    trace.sequence.push_back(t / 8);
    trace.experts.push_back(0);
    trace.experts.push_back(static_cast<std::uint16_t>(1 + t % (experts - 1)));
  }
  return trace;
}

TEST(Relieve, CopiesOfAHotExpertBringTheBound) {
  const Searched s(one_hot_trace(210, 8), "2x2");
  const VisitState state(s.problem, pack_places(s.problem));
  const LayerPlan packed = pack_devices(state, s.cluster);
  const double before = device_imbalance(packed, s.bits, 2, s.cluster, 0);
  ASSERT_GE(before, 2);
  double last = before;
  for (int copies = 0; copies <= 6; ++copies) {
    LayerPlan layer = packed;
    const int added = relieve(layer, s.bits, 2, s.cluster, s.goal, copies);
    EXPECT_LE(added, copies);
    int instances = -8;
    for (const int held : s.held(layer)) instances += held;
    EXPECT_EQ(instances, added);
    validate(plan_of(s.trace, s.topology, {layer}), "relieved");
    const double ratio = device_imbalance(layer, s.bits, 2, s.cluster, 0);
    EXPECT_NEAR(s.replayed(layer).load_max_over_mean, ratio, 0.12);
    EXPECT_LE(ratio, last + 1e-9);
    last = ratio;
  }
  EXPECT_LT(last, s.goal.balance_bound);
  LayerPlan layer = packed;
  EXPECT_EQ(relieve(layer, s.bits, 2, s.cluster, s.goal, 6, 100), 0) << "not worth moving";
}

TEST(Relieve, OnlyWhereThereIsRoomAndNeed) {
  Searched s(one_hot_trace(210, 8), "2x2");
  const VisitState state(s.problem, pack_places(s.problem));
  LayerPlan layer = pack_devices(state, s.cluster);
  const std::vector<int> held = s.held(layer);
  s.cluster.max_experts = held;
  s.cluster.max_experts[3] = held[3] + 1;
  const int most = layer.experts[0][0].device == 3 ? 0 : 1;
  EXPECT_LE(relieve(layer, s.bits, 2, s.cluster, s.goal, 9), most + 1);
  for (std::size_t d = 0; d < 4; ++d) EXPECT_LE(s.held(layer)[d], s.cluster.max_experts[d]);
  LayerPlan balanced = pack_devices(state, s.cluster);
  s.cluster.max_experts.assign(4, 8);
  EXPECT_EQ(relieve(balanced, s.bits, 2, s.cluster, {4, 0.1, 0}, 9), 0);
}

TEST(PlaceProblem, NodesOrTheDevicesOfOneNode) {
  const TokenBits bits(6, 10);
  SearchCluster nodes = SearchCluster::uniform(Topology::of({3, 1}), 6);
  EXPECT_FALSE(nodes.alike);
  nodes.capacity = {0.1, 0.2, 0.3, 0.4};
  nodes.max_experts = {1, 1, 2, 9};
  nodes.node_cost = {0, 2, 3, 0};
  const VisitProblem p = place_problem(bits, 2, nodes, {1.2, 0.3, 7}, {1, 2});
  EXPECT_EQ(p.places, 2);
  EXPECT_THAT(p.streams[0].share, ElementsAre(0.75, 0.25));
  EXPECT_THAT(p.capacity, Pointwise(DoubleNear(1e-12), {0.6, 0.4}));
  EXPECT_THAT(p.max_experts, ElementsAre(4, 6));
  EXPECT_EQ(p.visit_cost, nodes.node_cost);
  EXPECT_EQ(p.balance_bound, 1.2);
  EXPECT_EQ(p.imbalance_cost, 0.3);
  EXPECT_EQ(p.step_tokens, 7);
  EXPECT_THAT(p.presence_cost, ElementsAre(1, 2));
  const SearchCluster one = SearchCluster::uniform(Topology::grid(1, 3), 6);
  EXPECT_TRUE(one.alike);
  const VisitProblem q = place_problem(bits, 2, one, {});
  EXPECT_EQ(q.places, 3);
  EXPECT_THAT(q.streams[0].share, Each(1.0 / 3));
  EXPECT_EQ(q.visit_cost, std::vector<double>(9, 1));
}

}  // namespace
}  // namespace gracemoe
