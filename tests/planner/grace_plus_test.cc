#include "planner/grace_plus.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "planner/expected_load.h"
#include "planner/planner.h"
#include "planner/search_inputs.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::DoubleNear;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::Pointwise;

// On gpt-oss-20b's held-out sequences, at a fraction of the default effort: how many fewer other
// nodes than by grace's plan are visited, and how even devices are. Budget 0: grace's own.
constexpr double kEffort = 0.02;
struct Wanted {
  const char* topology;
  double budget, bound, fewer, max_over_mean;
};
// At grace's memory with most of its unevenness (max / mean 1.22 and 1.55), then with far less.
constexpr Wanted kWanted[] = {
    {"2x2", 0, 1.15, 0.12, 1.20}, {"2x2", 1.25, 1.10, 0.25, 1.10}, {"2x2", 1.5, 1.10, 0.55, 1.10},
    {"2x4", 0, 1.4, 0.12, 1.5},   {"2x4", 1.25, 1.10, 0.25, 1.11}, {"2x4", 1.5, 1.10, 0.55, 1.11},
};

GracePlusOptions quick(double budget, std::uint64_t seed = 0) {
  GracePlusOptions options;
  options.memory_budget = budget;
  options.effort = 0.0002;
  options.seed = seed;
  options.threads = 1;
  return options;
}

Plan planned(const RoutingTrace& trace, const SearchCluster& cluster, const Plan& start,
             const GracePlusOptions& options, const MoveCost& moves = {}) {
  Plan plan = plan_of(trace, cluster.topology, {});
  GracePlusResult result = grace_plus(trace, cluster, start, options, moves);
  plan.layers = std::move(result.layers);
  return plan;
}

Plan planned(const RoutingTrace& trace, const SearchCluster& cluster,
             const GracePlusOptions& options) {
  return planned(trace, cluster, in_order(trace, cluster.topology), options);
}

int budget_of(const RoutingTrace& trace, double memory_budget) {
  return static_cast<int>(
      std::floor((memory_budget - 1) * trace.num_experts * trace.layers + 1e-9));
}

RoutingMetrics replayed(const Plan& plan, const RoutingTrace& trace) {
  return evaluate(plan, at_every_home(trace, plan.topology.devices()),
                  RoutingPolicy::kTopologyAware, 1)
      .total;
}

// Every limit that the contract names.
void expect_kept(const Plan& plan, const SearchCluster& cluster, double memory_budget) {
  validate(plan, "grace+");  // every expert somewhere, none twice on a device
  const int experts = plan.num_experts, layers = static_cast<int>(plan.layers.size());
  EXPECT_LE(plan.copies(), std::floor((memory_budget - 1) * experts * layers + 1e-9));
  EXPECT_EQ(parse_plan(plan_text(plan), "grace+"), plan);
  for (int d = 0; d < plan.topology.devices(); ++d) {
    int held = 0;
    for (int l = 0; l < layers; ++l) {
      const int here = static_cast<int>(plan.experts_on(l, d).size());
      EXPECT_LE(here, cluster.max_experts[at(d)]) << "layer " << l << ", device " << d;
      held += here;
    }
    EXPECT_LE(held, cluster.max_copies[at(d)]) << "device " << d;
  }
  for (const LayerPlan& layer : plan.layers)
    EXPECT_NEAR(std::accumulate(layer.predicted_load.begin(), layer.predicted_load.end(), 0.0), 1,
                1e-9);
}

TEST(GracePlus, KeepsItsLimitsOnRandomTraces) {
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Topology topology = random_topology(random);
    const int experts = 4 + random.below(20), layers = 1 + random.below(6);
    const RoutingTrace trace = random_trace(seed, 100, experts, 3, layers, 1 + random.below(4));
    SearchCluster cluster = SearchCluster::uniform(topology, experts);
    if (topology.devices() == 1) continue;
    const double budget = 1 + random.below(5) / 4.0;
    const Plan start = make_plan(count_statistics(trace), topology, preset_grace());
    expect_kept(planned(trace, cluster, start, quick(budget, seed)), cluster, budget);
  }
}

// Memory for just what the budget asks for on equal devices, and for unequal shares of it.
TEST(GracePlus, KeepsTheDevicesMemory) {
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Topology topology = random_topology(random);
    if (seed % 2 == 0) topology = Topology::grid(1 + random.below(3), 2);
    if (topology.devices() == 1) continue;
    const int experts = 4 + random.below(20), layers = 1 + random.below(6);
    const RoutingTrace trace = random_trace(seed, 100, experts, 3, layers);
    SearchCluster cluster = SearchCluster::uniform(topology, experts);
    const double budget = 1 + random.below(3) / 4.0;
    const double fair = std::ceil(budget * experts * layers / topology.devices() - 1e-9);
    for (double& limit : cluster.max_copies) limit = fair;
    if (seed % 2 == 1) {
      cluster.alike = false;
      for (double& limit : cluster.max_copies) limit += random.below(3) * layers;
    }
    const Plan start = make_plan(count_statistics(trace), topology, preset_grace());
    const Plan plan = planned(trace, cluster, start, quick(budget, seed));
    expect_kept(plan, cluster, budget);
  }
}

TEST(GracePlus, SpendsItsBudget) {
  const RoutingTrace trace = random_trace(3, 200, 16, 3, 4);
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
  for (double& limit : cluster.max_copies) limit = 20;
  EXPECT_EQ(planned(trace, cluster, quick(1.25)).copies(), 16);
}

TEST(GracePlus, SameSlots) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Topology topology = random_topology(random);
    if (topology.devices() == 1) continue;
    const int experts = 4 + random.below(20);
    const RoutingTrace trace = random_trace(seed, 100, experts, 3, 1 + random.below(6));
    SearchCluster cluster = SearchCluster::uniform(topology, experts);
    const double budget = 1 + random.below(5) / 4.0;
    GracePlusOptions options = quick(budget, seed);
    options.same_slots = true;
    const Plan start = make_plan(count_statistics(trace), topology, preset_grace());
    const Plan plan = planned(trace, cluster, start, options);
    const int devices = topology.devices();
    const int slots =
        std::min(experts, std::max(static_cast<int>(budget * experts / devices + 1e-9),
                                   (experts + devices - 1) / devices));
    for (int& limit : cluster.max_experts) limit = slots;
    expect_kept(plan, cluster, std::max(budget, 1.0 * slots * devices / experts));
    for (int layer = 0; layer < trace.layers; ++layer)
      for (int d = 0; d < devices; ++d)
        EXPECT_EQ(plan.experts_on(layer, d).size(), static_cast<std::size_t>(slots));
  }
}

TEST(GracePlus, ThreadsDecideNothingAndTheSeedDoes) {
  const RoutingTrace trace = random_trace(8, 200, 16, 3, 5);
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
  GracePlusOptions options = quick(1.25, 1);
  const Plan one = planned(trace, cluster, options);
  options.threads = 2;
  EXPECT_EQ(planned(trace, cluster, options), one);
  options.seed = 2;
  EXPECT_NE(planned(trace, cluster, options), one);
}

// Within the budget and the bound, the start is one of the choices.
TEST(GracePlus, NeverWorseThanItsStart) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    const RoutingTrace trace = random_trace(seed, 300, 16, 3, 3);
    const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
    GracePlusOptions options = quick(1.25, seed);
    options.balance_bound = 4;  // so that visits alone decide
    options.imbalance_cost = 0;
    options.effort = 0.0008;
    const Plan good = planned(trace, cluster, options);
    options.effort = 0;  // the least that is searched
    options.seed += 100;
    const Plan plan = planned(trace, cluster, good, options);
    EXPECT_LE(replayed(plan, trace).nodes_visited, replayed(good, trace).nodes_visited + 1e-9);
  }
}

TEST(GracePlus, FindsWhatWasPlanted) {
  for (const char* shape : {"2x2", "2x3", "3x2", "4x1"}) {
    SCOPED_TRACE(shape);
    const Topology topology = Topology::parse(shape);
    Random random(7);
    const RoutingTrace trace = planted_trace(random, 960, 2 * topology.nodes(), 3, 4);
    const SearchCluster cluster = SearchCluster::uniform(topology, trace.num_experts);
    GracePlusOptions options = quick(1);
    options.effort = 0.003;
    const Plan plan = planned(trace, cluster, options);
    EXPECT_EQ(plan.copies(), 0);
    // A token's experts live together: it visits their node, or none where it is at home.
    const RoutingMetrics m = replayed(plan, trace);
    EXPECT_NEAR(m.nodes_visited, 1 - 1.0 / topology.nodes(), 1e-9);
    // With room for all on every node, none.
    options.memory_budget = topology.nodes();
    EXPECT_NEAR(replayed(planned(trace, cluster, options), trace).nodes_visited, 0, 1e-9);
  }
}

TEST(GracePlus, MoreMemoryBuysFewerVisits) {
  const RoutingTrace trace = random_trace(4, 300, 16, 3, 4);
  for (const char* shape : {"2x2", "3x1"}) {
    const Topology topology = Topology::parse(shape);
    const auto result = grace_plus(trace, SearchCluster::uniform(topology, 16),
                                   in_order(trace, topology), quick(1.25));
    ASSERT_GT(result.at_budgets.size(), 5U);
    RoutingMetrics before;
    for (const auto& layers : result.at_budgets) {
      const Plan plan = plan_of(trace, topology, layers);
      validate(plan, "at a budget");
      const RoutingMetrics now = replayed(plan, trace);
      if (before.tokens > 0) {
        EXPECT_GT(now.copies, before.copies);
        EXPECT_LE(now.nodes_visited, before.nodes_visited + 0.05);
      }
      before = now;
    }
    EXPECT_LE(before.nodes_visited, shape[0] == '2' ? 1e-9 : 0.7);
  }
}

TEST(GracePlus, LoadFollowsSpeed) {
  const RoutingTrace trace = random_trace(6, 400, 32, 4, 4);
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 32);
  cluster.capacity = {0.4, 0.2, 0.3, 0.1};
  cluster.alike = false;
  const Plan plan = planned(trace, cluster, quick(1.25));
  expect_kept(plan, cluster, 1.25);
  for (const LayerPlan& layer : plan.layers)
    EXPECT_THAT(layer.predicted_load, Pointwise(DoubleNear(0.05), cluster.capacity));
}

// Where two of three nodes are joined by a slow link, fewer tokens cross it.
TEST(GracePlus, SlowLinksAreCrossedLess) {
  const RoutingTrace trace = random_trace(6, 400, 24, 3, 3);
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(3, 1), 24);
  const auto across = [&] {
    const Plan plan = planned(trace, cluster, quick(1.25));
    expect_kept(plan, cluster, 1.25);
    const RoutingMetrics m = replayed(plan, trace);
    return static_cast<double>(m.node_pair_rows[1] + m.node_pair_rows[3]) /
           static_cast<double>(m.tokens);
  };
  const double equal = across();
  cluster.node_cost = {0, 2, 0.5, 2, 0, 0.5, 0.5, 0.5, 0};
  cluster.alike = false;
  EXPECT_LT(across(), 0.9 * equal);
}

TEST(GracePlus, NotEnoughMemory) {
  const RoutingTrace trace = random_trace(6, 40, 12, 3, 5);
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 12);
  const auto refused = [&] { return error_of([&] { planned(trace, cluster, quick(1.25)); }); };
  for (double& limit : cluster.max_copies) limit = 15;
  EXPECT_EQ(refused(), "");
  cluster.max_copies[2] = 14.9;
  EXPECT_THAT(refused(), HasSubstr("memory of the devices: got 59 experts in all, wanted at least "
                                   "60, one of each; more devices, or more memory"));
  cluster = SearchCluster::uniform(Topology::grid(1, 1), 12);
  cluster.max_copies[0] = 59;
  EXPECT_THAT(refused(), HasSubstr("got 59 experts in all"));
}

// ---- Shapes at the edge -------------------------------------------------------------------

void expect_plan(const RoutingTrace& trace, const char* shape, double budget = 1.5) {
  SCOPED_TRACE(shape);
  const SearchCluster cluster = SearchCluster::uniform(Topology::parse(shape), trace.num_experts);
  expect_kept(planned(trace, cluster, quick(budget)), cluster, budget);
}

TEST(GracePlusAtTheEdge, ClustersOfEveryShape) {
  const RoutingTrace trace = random_trace(1, 60, 6, 2, 2);
  for (const char* shape : {"1x2", "1x6", "6x1", "3,1", "1,3", "1,1,2", "1x16", "16x1", "4x4"})
    expect_plan(trace, shape);
}

TEST(GracePlusAtTheEdge, OneDeviceOrNoTokensGiveTheStart) {
  RoutingTrace trace = random_trace(1, 60, 6, 2, 2);
  const Plan one = in_order(trace, Topology::grid(1, 1));
  EXPECT_EQ(planned(trace, SearchCluster::uniform(one.topology, 6), quick(2)).layers, one.layers);
  trace.sequence.clear();
  trace.experts.clear();
  const Plan four = in_order(trace, Topology::grid(2, 2));
  EXPECT_EQ(planned(trace, SearchCluster::uniform(four.topology, 6), quick(2)).layers, four.layers);
}

TEST(GracePlusAtTheEdge, OneTokenOneSequenceOneLayer) {
  expect_plan(random_trace(1, 1, 6, 2, 1), "2x2");
  RoutingTrace trace = random_trace(1, 200, 12, 3, 1);
  std::fill(trace.sequence.begin(), trace.sequence.end(), 0);
  expect_plan(trace, "2x2");
  expect_plan(trace, "3x1", 1);
}

TEST(GracePlusAtTheEdge, OneExpertOrAllOfThem) {
  expect_plan(random_trace(1, 20, 1, 1, 2, 1), "2x2");
  expect_plan(random_trace(1, 20, 4, 4, 2, 1), "2x2");
  expect_plan(random_trace(1, 20, 2, 1, 2, 1), "2x1", 1);
}

// A budget beyond an instance of everything everywhere.
TEST(GracePlusAtTheEdge, MoreMemoryThanCanBeUsed) {
  const RoutingTrace trace = random_trace(1, 60, 6, 2, 2);
  expect_plan(trace, "2x2", 4);
  expect_plan(trace, "2x2", 1e12);
  expect_plan(trace, "1x3", 100);
}

TEST(GracePlusAtTheEdge, ExpertsNeverUsed) {
  RoutingTrace trace = random_trace(1, 100, 6, 2, 2);
  trace.num_experts = 12;  // the upper half
  expect_plan(trace, "2x2", 1);
  expect_plan(trace, "2x2", 1.5);
}

// One expert has half of the work: copies spread it.
TEST(GracePlusAtTheEdge, AllTokensOnOneExpert) {
  const RoutingTrace trace = random_trace(1, 400, 9, 1, 4, 1);
  RoutingTrace hot = trace;
  hot.top_k = 2;
  hot.experts.clear();
  for (const auto e : trace.experts) {
    hot.experts.push_back(9);
    hot.experts.push_back(e);
  }
  hot.num_experts = 10;
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 10);
  const Plan none = planned(hot, cluster, quick(1)), some = planned(hot, cluster, quick(1.5));
  expect_kept(some, cluster, 1.5);
  EXPECT_GE(replayed(none, hot).load_max_over_mean, 2);
  EXPECT_LT(replayed(some, hot).load_max_over_mean, 1.15);
  for (const LayerPlan& layer : some.layers) EXPECT_GE(layer.experts[9].size(), 2U);
  // Alone, it is all the work there is.
  RoutingTrace alone = hot;
  alone.top_k = 1;
  alone.experts.assign(1600, 9);
  expect_plan(alone, "2x2", 1.5);
}

// Two halves that no token joins, of unequal weight.
TEST(GracePlusAtTheEdge, DisconnectedAffinity) {
  Random random(2);
  RoutingTrace trace = planted_trace(random, 200, 3, 2, 2);
  trace.num_experts = 8;  // and two experts that nobody asks for
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 1), 8);
  GracePlusOptions options = quick(1);
  options.balance_bound = 3;
  EXPECT_NEAR(replayed(planned(trace, cluster, options), trace).nodes_visited, 0.5, 1e-9);
}

TEST(GracePlusAtTheEdge, BalanceInExpertsAStepUses) {
  const RoutingTrace trace = random_trace(5, 300, 16, 3, 4);
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
  GracePlusOptions options = quick(1.25);
  options.step_tokens = 32;
  const Plan plan = planned(trace, cluster, options);
  expect_kept(plan, cluster, 1.25);
  for (int l = 0; l < 4; ++l)
    EXPECT_LT(device_imbalance(plan.layers[at(l)], layer_bits(trace, l, 1000), 3, cluster, 32),
              1.25);
}

TEST(GracePlusAtTheEdge, NoTimeLeft) {
  const RoutingTrace trace = random_trace(5, 300, 16, 3, 4);
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
  GracePlusOptions options = quick(1.25);
  options.deadline = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  expect_kept(planned(trace, cluster, options), cluster, 1.25);
}

// ---- Planning again -----------------------------------------------------------------------

int moved(const Plan& from, const Plan& to) {
  int count = 0;
  for (std::size_t l = 0; l < to.layers.size(); ++l)
    for (std::size_t e = 0; e < to.layers[l].experts.size(); ++e)
      for (const Instance& i : to.layers[l].experts[e]) {
        const auto& old = from.layers[l].experts[e];
        count += std::none_of(old.begin(), old.end(),
                              [&](const Instance& o) { return o.device == i.device; });
      }
  return count;
}

// Each expert's devices replaced by its nodes.
Plan on_nodes(Plan plan) {
  for (LayerPlan& layer : plan.layers)
    for (auto& instances : layer.experts)
      for (Instance& i : instances) i.device = plan.topology.node_of(i.device);
  return plan;
}

TEST(GracePlusFromAnOldPlan, MovesLessTheMoreItCosts) {
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
  const RoutingTrace before = random_trace(1, 300, 16, 3, 4),
                     after = random_trace(2, 300, 16, 3, 4);
  GracePlusOptions options = quick(1.25);
  const Plan old = planned(before, cluster, options);
  options.balance_bound = 4;  // a bound is kept whatever it costs
  int last = 1000;
  for (const double cost : {0.0, 0.01, 100.0}) {
    const Plan plan = planned(after, cluster, old, options, {&old, cost, cost});
    expect_kept(plan, cluster, 1.25);
    EXPECT_LE(moved(old, plan), last);
    last = moved(old, plan);
  }
  EXPECT_EQ(last, 0);
  // Where only links between nodes are slow, experts change devices inside their nodes alone.
  const Plan inside = planned(after, cluster, old, options, {&old, 100, 0});
  EXPECT_GT(moved(old, inside), 0);
  EXPECT_EQ(moved(on_nodes(old), on_nodes(inside)), 0);
}

// Copies inside nodes are not what the search sees; they stay where they were.
TEST(GracePlusFromAnOldPlan, KeepsCopiesInsideNodes) {
  const SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 16);
  const RoutingTrace trace = random_trace(1, 300, 16, 3, 4);
  Plan old = in_order(trace, cluster.topology);
  for (LayerPlan& layer : old.layers)
    for (const int e : {0, 5}) layer.experts[at(e)].push_back({1 - e / 5, 1.0});
  ASSERT_EQ(old.copies(), 8);
  GracePlusOptions options = quick(1.25);
  options.balance_bound = 4;
  const Plan plan = planned(trace, cluster, old, options, {&old, 100, 100});
  EXPECT_EQ(moved(plan, old), 0) << "nothing that the old plan has is missing";
  EXPECT_EQ(moved(old, plan), 0);
}

// ---- Real routing -------------------------------------------------------------------------

TEST(SharedTraces, GracePlusCrossesLessThanGraceOnHeldOutSequences) {
  const auto path =
      std::filesystem::path(GRACEMOE_SHARED_DIR) / "traces" / "gpt-oss-20b.trace.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared traces here";
  const TraceSplit split = split_by_sequence(read_trace(path), 2);
  const auto measured = [&](const Plan& plan) {
    return evaluate(plan, split.held_out, RoutingPolicy::kTopologyAware).total;
  };
  for (const Wanted& wanted : kWanted) {
    SCOPED_TRACE(wanted.topology + std::string(", budget ") + std::to_string(wanted.budget));
    const Topology topology = Topology::parse(wanted.topology);
    const Plan grace = make_plan(count_statistics(split.fit), topology, preset_grace());
    const RoutingMetrics base = measured(grace);
    const double budget = wanted.budget > 0 ? wanted.budget : 1 + base.extra_memory;
    GracePlusOptions options = quick(budget);
    options.balance_bound = wanted.bound;
    options.effort = kEffort;
    options.threads = 0;
    const RoutingMetrics m = measured(
        planned(split.fit, SearchCluster::uniform(topology, grace.num_experts), grace, options));
    EXPECT_LE(m.copies, budget_of(split.fit, budget));
    EXPECT_LT(m.nodes_visited, (1 - wanted.fewer) * base.nodes_visited);
    EXPECT_LE(m.load_max_over_mean, std::min(wanted.max_over_mean, base.load_max_over_mean));
  }
}

}  // namespace
}  // namespace gracemoe
