#include "planner/evaluate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "planner/planner.h"
#include "planner/random_inputs.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// One layer, experts 0..5 on devices 0 0 1 2 3 3 of 2x2.
Plan hand_plan() {
  Plan plan;
  plan.num_experts = 6;
  plan.top_k = 3;
  plan.topology = Topology::grid(2, 2);
  plan.layers.resize(1);
  for (const int d : {0, 0, 1, 2, 3, 3}) plan.layers[0].experts.push_back({{d, 1.0}});
  return plan;
}

RoutingTrace hand_trace() {
  RoutingTrace trace;
  trace.num_experts = 6;
  trace.top_k = 3;
  trace.layers = 1;
  trace.sequence = {40, 40, 7};  // homes 0, 0, 1
  trace.experts = {0, 1, 2,      // all on node 0, devices 0 0 1
                   0, 4, 5,      // two on device 3: peer of home 0 on node 1 is device 2
                   3, 4, 5};     // all on node 1, devices 2 3 3; peer of home 1 is 3
  return trace;
}

TEST(Evaluate, ByHand) {
  const PlanMetrics metrics = evaluate(hand_plan(), hand_trace(), RoutingPolicy::kPrimary);
  const RoutingMetrics& m = metrics.total;
  EXPECT_EQ(m.tokens, 3);
  EXPECT_DOUBLE_EQ(m.nodes_visited, 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.crossing_share, 2.0 / 3);
  EXPECT_DOUBLE_EQ(m.devices_visited, (1 + 1 + 2) / 3.0);
  EXPECT_DOUBLE_EQ(m.crossing_copies, (0 + 2 + 3) / 3.0);
  EXPECT_THAT(m.visits, ElementsAre(1, 2));
  EXPECT_THAT(m.load, ElementsAre(3, 1, 1, 4));
  EXPECT_DOUBLE_EQ(m.load_max_over_mean, 4 / 2.25);
  EXPECT_DOUBLE_EQ(m.load_std, std::sqrt((0.5625 + 2 * 1.5625 + 3.0625) / 4));
  EXPECT_EQ(m.copies, 0);
  EXPECT_EQ(m.cross_node_rows.flat_per_expert, 5);
  EXPECT_EQ(m.cross_node_rows.flat_per_device, 3);
  EXPECT_EQ(m.cross_node_rows.hierarchical, 2);
  EXPECT_EQ(m.intra_node_rows.flat_per_expert, 1);
  EXPECT_EQ(m.intra_node_rows.flat_per_device, 1);
  EXPECT_EQ(m.intra_node_rows.hierarchical, 3);  // token 0: 0->1; token 1: 2->3; token 2: 3->2
  EXPECT_THAT(m.node_groups, ElementsAre(0, 0, 1, 1));
  EXPECT_THAT(m.device_groups, ElementsAre(0, 1, 2, 0));
  EXPECT_THAT(m.node_pair_rows, ElementsAre(0, 2, 0, 0));
  EXPECT_THAT(m.node_sent, ElementsAre(2, 0));
  EXPECT_THAT(m.node_received, ElementsAre(0, 2));
  EXPECT_THAT(m.intra_sent, ElementsAre(1, 0, 1, 1));
  EXPECT_THAT(m.intra_received, ElementsAre(0, 1, 1, 1));
  EXPECT_THAT(m.intra_groups, ElementsAre(0, 2, 1, 0));
  EXPECT_THAT(metrics.layers[0].instance_load,
              ElementsAre(ElementsAre(2, 1), ElementsAre(1), ElementsAre(1), ElementsAre(2, 2)));
  EXPECT_TRUE(m.instance_load.empty());
}

// What one row does inside a node, where it does not stay on the device it came to.
void slow_hand_on(int from, int device, int experts, RoutingMetrics& m) {
  if (from == device) return;
  ++m.intra_node_rows.hierarchical;
  ++m.intra_sent[static_cast<std::size_t>(from)];
  ++m.intra_received[static_cast<std::size_t>(device)];
  ++m.intra_groups[static_cast<std::size_t>(experts)];
}

// Instances are found by asking the plan for the experts of the device.
void slow_count_instance(const Plan& plan, int layer, int expert, int device, RoutingMetrics& m) {
  const std::vector<int> held = plan.experts_on(layer, device);
  auto& loads = m.instance_load[static_cast<std::size_t>(device)];
  loads.resize(held.size());
  ++loads[static_cast<std::size_t>(std::find(held.begin(), held.end(), expert) - held.begin())];
}

// All counters at 0, in their shapes.
RoutingMetrics empty_metrics(const Plan& plan, int layer) {
  RoutingMetrics m;
  const auto devices = static_cast<std::size_t>(plan.topology.devices());
  const auto nodes = static_cast<std::size_t>(plan.topology.nodes());
  m.load = m.intra_sent = m.intra_received = std::vector<std::int64_t>(devices);
  m.node_sent = m.node_received = std::vector<std::int64_t>(nodes);
  m.node_pair_rows.resize(nodes * nodes);
  m.visits.resize(nodes);
  m.node_groups.resize(static_cast<std::size_t>(plan.top_k) + 1);
  m.device_groups = m.intra_groups = m.node_groups;
  for (int device = 0; device < plan.topology.devices(); ++device)
    m.instance_load.emplace_back(plan.experts_on(layer, device).size());
  return m;
}

// Longest sequences first, each to the device with the fewest tokens.
std::map<std::int32_t, int> slow_homes(const RoutingTrace& trace, int devices) {
  std::vector<std::pair<std::int64_t, std::int32_t>> sequences;  // tokens, number
  for (const std::int32_t s : trace.sequence)
    if (std::none_of(sequences.begin(), sequences.end(),
                     [&](const auto& known) { return known.second == s; }))
      sequences.emplace_back(std::count(trace.sequence.begin(), trace.sequence.end(), s), s);
  std::stable_sort(sequences.begin(), sequences.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::vector<std::int64_t> dealt(static_cast<std::size_t>(devices));
  std::map<std::int32_t, int> home_of;
  for (const auto& [tokens, number] : sequences) {
    const auto least = std::min_element(dealt.begin(), dealt.end());
    home_of[number] = static_cast<int>(least - dealt.begin());
    *least += tokens;
  }
  return home_of;
}

// The same figures from their definitions, with sets and maps.
RoutingMetrics slow_layer(const Plan& plan, const RoutingTrace& trace, RoutingPolicy policy,
                          int layer) {
  const auto selector = make_selector(policy, plan);
  const Topology& topology = plan.topology;
  RoutingMetrics m = empty_metrics(plan, layer);
  const std::map<std::int32_t, int> home_of = slow_homes(trace, topology.devices());
  std::map<std::int32_t, std::uint64_t> position;
  for (std::int64_t t = 0; t < trace.tokens(); ++t) {
    const std::int32_t sequence = trace.sequence[static_cast<std::size_t>(t)];
    const int home = home_of.at(sequence);
    const auto key = token_key(static_cast<std::uint64_t>(sequence), position[sequence]++);
    std::map<int, std::map<int, int>> on;  // node -> device -> experts
    for (const auto expert : trace.chosen(t, layer)) {
      const int device = selector->device_for(layer, expert, home, key);
      ++on[topology.node_of(device)][device];
      slow_count_instance(plan, layer, expert, device, m);
      ++m.load[static_cast<std::size_t>(device)];
    }
    const int home_node = topology.node_of(home);
    ++m.tokens;
    if (on.size() > on.count(home_node)) m.crossing_share += 1;
    ++m.visits[on.size() - on.count(home_node)];
    for (const auto& [node, devices] : on) {
      int experts = 0;
      for (const auto& [device, count] : devices) {
        experts += count;
        if (node == home_node) {
          if (device == home) continue;
          m.intra_node_rows.flat_per_expert += count;
          ++m.intra_node_rows.flat_per_device;
          slow_hand_on(home, device, count, m);
          m.devices_visited += 1;
        } else {
          m.devices_visited += 1;
          m.cross_node_rows.flat_per_expert += count;
          ++m.cross_node_rows.flat_per_device;
          ++m.device_groups[static_cast<std::size_t>(count)];
          slow_hand_on(topology.peer_on(home, node), device, count, m);
        }
      }
      if (node == home_node) continue;
      ++m.cross_node_rows.hierarchical;
      ++m.node_groups[static_cast<std::size_t>(experts)];
      ++m.node_sent[static_cast<std::size_t>(home_node)];
      ++m.node_received[static_cast<std::size_t>(node)];
      ++m.node_pair_rows[static_cast<std::size_t>(home_node * topology.nodes() + node)];
    }
  }
  return m;
}

void expect_same(const RoutingMetrics& fast, const RoutingMetrics& slow) {
  const auto tokens = static_cast<double>(slow.tokens);
  EXPECT_EQ(fast.tokens, slow.tokens);
  EXPECT_DOUBLE_EQ(fast.crossing_share, slow.crossing_share / tokens);
  EXPECT_DOUBLE_EQ(fast.devices_visited, slow.devices_visited / tokens);
  EXPECT_DOUBLE_EQ(fast.nodes_visited,
                   static_cast<double>(slow.cross_node_rows.hierarchical) / tokens);
  EXPECT_DOUBLE_EQ(fast.crossing_copies,
                   static_cast<double>(slow.cross_node_rows.flat_per_expert) / tokens);
  EXPECT_EQ(fast.load, slow.load);
  EXPECT_EQ(fast.visits, slow.visits);
  EXPECT_EQ(fast.node_groups, slow.node_groups);
  EXPECT_EQ(fast.device_groups, slow.device_groups);
  EXPECT_EQ(fast.node_pair_rows, slow.node_pair_rows);
  EXPECT_EQ(fast.node_sent, slow.node_sent);
  EXPECT_EQ(fast.node_received, slow.node_received);
  EXPECT_EQ(fast.intra_sent, slow.intra_sent);
  EXPECT_EQ(fast.intra_received, slow.intra_received);
  EXPECT_EQ(fast.intra_groups, slow.intra_groups);
  EXPECT_EQ(fast.instance_load, slow.instance_load);
  for (const auto rows : {&RoutingMetrics::cross_node_rows, &RoutingMetrics::intra_node_rows}) {
    EXPECT_EQ((fast.*rows).flat_per_expert, (slow.*rows).flat_per_expert);
    EXPECT_EQ((fast.*rows).flat_per_device, (slow.*rows).flat_per_device);
    EXPECT_EQ((fast.*rows).hierarchical, (slow.*rows).hierarchical);
  }
}

TEST(Evaluate, AgreesWithItsSlowTwin) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    Random random(seed);
    const RoutingTrace trace = random_trace(seed, 200, 16, 4, 2);
    const Plan plan = make_plan(count_statistics(trace), random_topology(random), preset_grace());
    for (const auto policy : {RoutingPolicy::kPrimary, RoutingPolicy::kWeightedRoundRobin,
                              RoutingPolicy::kTopologyAware}) {
      const PlanMetrics metrics = evaluate(plan, trace, policy, 2);
      for (int layer = 0; layer < 2; ++layer)
        expect_same(metrics.layers[static_cast<std::size_t>(layer)],
                    slow_layer(plan, trace, policy, layer));
    }
  }
}

TEST(Evaluate, TotalsAreSumsAndMeansOverLayers) {
  const RoutingTrace trace = random_trace(3, 200, 16, 4, 2);
  const Plan plan = make_plan(count_statistics(trace), Topology::grid(2, 2), preset_grace());
  const PlanMetrics m = evaluate(plan, trace, RoutingPolicy::kTopologyAware);
  const RoutingMetrics& a = m.layers[0];
  const RoutingMetrics& b = m.layers[1];
  EXPECT_EQ(m.total.tokens, 400);
  EXPECT_NEAR(m.total.nodes_visited, (a.nodes_visited + b.nodes_visited) / 2, 1e-12);
  EXPECT_NEAR(m.total.load_max_over_mean, (a.load_max_over_mean + b.load_max_over_mean) / 2, 1e-12);
  EXPECT_EQ(m.total.copies, plan.copies());
  EXPECT_EQ(m.total.copies, a.copies + b.copies);
  EXPECT_DOUBLE_EQ(m.total.extra_memory, plan.copies() / 32.0);
  EXPECT_EQ(m.total.load[2], a.load[2] + b.load[2]);
  EXPECT_EQ(m.total.visits[1], a.visits[1] + b.visits[1]);
}

// With two nodes a replica can only save a visit; with more, the draw among far replicas may add
// one.
TEST(Evaluate, OnTwoNodesTopologyAwareNeverAddsAVisit) {
  const RoutingTrace trace = random_trace(9, 400, 24, 4, 2);
  const Plan plan = make_plan(count_statistics(trace), Topology::grid(2, 2), preset_grace());
  ASSERT_GT(plan.copies(), 0);
  const auto visits = [&](RoutingPolicy policy) {
    return evaluate(plan, trace, policy).total.nodes_visited;
  };
  EXPECT_LE(visits(RoutingPolicy::kTopologyAware), visits(RoutingPolicy::kWeightedRoundRobin));
  EXPECT_LE(visits(RoutingPolicy::kTopologyAware), visits(RoutingPolicy::kPrimary));
}

TEST(Evaluate, AnEmptyTraceIsAllZero) {
  RoutingTrace trace = hand_trace();
  trace.sequence.clear();
  trace.experts.clear();
  const RoutingMetrics m = evaluate(hand_plan(), trace, RoutingPolicy::kTopologyAware).total;
  EXPECT_EQ(m.tokens, 0);
  EXPECT_EQ(m.nodes_visited, 0);
  EXPECT_EQ(m.load_max_over_mean, 0);
  EXPECT_EQ(m.load_std, 0);
}

TEST(Evaluate, RefusesATraceOfAnotherShape) {
  RoutingTrace trace = hand_trace();
  trace.model = "other";
  trace.num_experts = 7;
  try {
    evaluate(hand_plan(), trace, RoutingPolicy::kPrimary);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kInput);
    EXPECT_THAT(error.what(), HasSubstr("routing trace of other: got 1 MoE layers of 7 experts, "
                                        "top-3, wanted the plan's 1 MoE layers of 6 experts"));
  }
}

TEST(Evaluate, NotesNodesVisitedInThePlan) {
  Plan plan = hand_plan();
  note_nodes_visited(plan, evaluate(plan, hand_trace(), RoutingPolicy::kPrimary));
  EXPECT_DOUBLE_EQ(plan.layers[0].nodes_visited, 2.0 / 3);
}

}  // namespace
}  // namespace gracemoe
