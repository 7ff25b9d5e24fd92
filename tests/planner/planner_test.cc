#include "planner/planner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/error.h"
#include "planner/evaluate.h"
#include "planner/load_inputs.h"
#include "planner/random_inputs.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename Action>
std::string refusal(ErrorCategory category, Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), category) << error.what();
    return error.what();
  }
  return "accepted";
}

std::vector<PlannerOptions> every_configuration() {
  std::vector<PlannerOptions> all{preset_contiguous(), preset_occult()};
  for (const char* ratio : {"uniform", "knee", "free", "0.25"}) {
    for (const auto kind : {Replication::kNone, Replication::kFixed, Replication::kDynamic}) {
      all.push_back(preset_grace());
      set_ratio(all.back(), ratio);
      all.back().replication = kind;
    }
  }
  return all;
}

// Valid, complete, and within what replication may add.
void expect_sound(const Plan& plan, const PlannerOptions& options) {
  validate(plan, "plan");
  for (const LayerPlan& layer : plan.layers) {
    std::set<int> sources;  // only the hottest device's experts have copies
    for (const auto& instances : layer.experts) {
      if (instances.size() > 1) sources.insert(instances[0].device);
      EXPECT_TRUE(instances.size() == 1 ||
                  static_cast<int>(instances.size()) == layer.replicas + 1);
    }
    EXPECT_LE(sources.size(), options.replication == Replication::kNone ? 0U : 1U);
  }
}

TEST(Presets, ByName) {
  EXPECT_EQ(preset_by_name("grace").replication, Replication::kDynamic);
  EXPECT_EQ(preset_by_name("occult").placement, Placement::kOccult);
  EXPECT_EQ(preset_by_name("contiguous").replication, Replication::kNone);
  EXPECT_THAT(refusal(ErrorCategory::kUsage, [] { preset_by_name("best"); }),
              HasSubstr("preset: got 'best', wanted contiguous, eplb, c2r, occult, "
                        "grace, balance or grace+"));
}

TEST(Presets, DescribeSaysEveryChoice) {
  PlannerOptions options = preset_grace();
  EXPECT_EQ(describe(options),
            "placement hierarchical (spectral groups: nodes, then devices); ratio knee; k-means "
            "restarts 10; seed 0; replication dynamic");
  set_ratio(options, "0.15");
  EXPECT_THAT(describe(options), HasSubstr("ratio 0.15"));
  EXPECT_EQ(describe(preset_contiguous()), "placement contiguous; replication none");
}

TEST(Presets, OptionsAreParsedStrictly) {
  PlannerOptions options = preset_grace();
  for (const char* text : {"", "0", "1.5", "-0.1", "nan", "inf", "0.1x", "Knee"})
    EXPECT_THAT(refusal(ErrorCategory::kUsage, [&] { set_ratio(options, text); }),
                HasSubstr("ratio: got '" + std::string(text) + "', wanted uniform, knee, free"));
  for (const auto kind : {Replication::kNone, Replication::kFixed, Replication::kDynamic})
    EXPECT_EQ(parse_replication(to_string(kind)), kind);
  EXPECT_THAT(refusal(ErrorCategory::kUsage, [] { parse_replication("some"); }),
              HasSubstr("wanted none, fixed or dynamic"));
}

TEST(MakePlan, TakesModelAndShapesFromTheStatistics) {
  RoutingTrace trace = random_trace(1, 100, 16, 4, 3);
  trace.model = "m";
  trace.fingerprint = "f";
  const Plan plan = make_plan(count_statistics(trace), Topology::grid(2, 2), preset_grace());
  EXPECT_EQ(plan.preset, "grace");
  EXPECT_EQ(plan.settings, describe(preset_grace()));
  EXPECT_EQ(plan.model, "m");
  EXPECT_EQ(plan.fingerprint, "f");
  EXPECT_EQ(plan.num_experts, 16);
  EXPECT_EQ(plan.top_k, 4);
  EXPECT_EQ(plan.layers.size(), 3U);
  EXPECT_EQ(plan.topology, Topology::grid(2, 2));
}

TEST(MakePlan, IsSoundOnRandomInputs) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    Random random(seed);
    const int experts = 1 + random.below(24);
    const int top_k = 1 + random.below(std::min(experts, 6));
    const auto statistics = count_statistics(random_trace(seed, 120, experts, top_k, 2));
    const Topology topology = random_topology(random);
    for (const PlannerOptions& options : every_configuration())
      expect_sound(make_plan(statistics, topology, options), options);
  }
}

TEST(MakePlan, DependsOnTheSeedAloneNotOnThreads) {
  const auto statistics = count_statistics(random_trace(4, 300, 32, 4, 6));
  PlannerOptions options = preset_grace();
  options.threads = 1;
  const Plan plan = make_plan(statistics, Topology::grid(2, 4), options);
  options.threads = 3;
  EXPECT_EQ(make_plan(statistics, Topology::grid(2, 4), options), plan);
  EXPECT_EQ(parse_plan(plan_text(plan), "plan"), plan);
}

// What the program itself plans, with devices as they are by default.
TEST(MakePlan, BalanceIsNeverLessEvenThanEplb) {
  Random random(8);
  for (const auto& [experts, devices] : {std::pair{8, 4}, std::pair{12, 6}, std::pair{24, 12}}) {
    RoutingStatistics statistics;
    statistics.num_experts = experts;
    statistics.layers = 200;
    statistics.top_k = 1;
    for (int i = 0; i < experts * statistics.layers; ++i)
      statistics.load.push_back(std::floor(1000 * std::pow(random_unit(random), 4)));
    const auto planned = [&](PlannerOptions options) {
      options.memory_budget = 1.5;
      return make_plan(statistics, Topology::grid(1, devices), options);
    };
    const Plan eplb = planned(preset_eplb()), balance = planned(preset_balance());
    for (int l = 0; l < statistics.layers; ++l) {
      const auto busiest = [&](const Plan& plan) {
        const auto& load = plan.layers[static_cast<std::size_t>(l)].predicted_load;
        return *std::max_element(load.begin(), load.end());
      };
      EXPECT_LE(busiest(balance), busiest(eplb) + 1e-9) << experts << " experts, layer " << l;
    }
  }
}

TEST(MakePlan, DegenerateClusters) {
  const auto statistics = count_statistics(random_trace(5, 100, 6, 2, 2));
  for (const char* shape :
       {"1x1", "1x4", "4x1", "1x6", "3x2", "3,1", "1,5", "4x4", "1x20", "9,1"}) {
    for (const PlannerOptions& options : every_configuration()) {
      const Plan plan = make_plan(statistics, Topology::parse(shape), options);
      expect_sound(plan, options);
      const bool enough = plan.topology.devices() <= 6;
      for (int d = 0; enough && d < plan.topology.devices(); ++d)
        EXPECT_FALSE(plan.experts_on(0, d).empty()) << shape << ' ' << describe(options);
    }
  }
}

RoutingStatistics statistics_of(int experts, std::vector<double> load,
                                std::vector<double> affinity) {
  RoutingStatistics s;
  s.num_experts = experts;
  s.top_k = 2;
  s.layers = 1;
  s.load = std::move(load);
  s.affinity = std::move(affinity);
  return s;
}

TEST(MakePlan, AnEmptyTraceGivesEvenSharesInOrder) {
  const auto statistics = statistics_of(8, std::vector<double>(8), std::vector<double>(64));
  for (const PlannerOptions& options : every_configuration()) {
    const Plan plan = make_plan(statistics, Topology::grid(2, 2), options);
    EXPECT_EQ(plan.copies(), 0);
    for (int d = 0; d < 4; ++d) EXPECT_THAT(plan.experts_on(0, d), ElementsAre(2 * d, 2 * d + 1));
    EXPECT_THAT(plan.layers[0].predicted_load, IsEmpty());
  }
}

TEST(MakePlan, AllTokensOnOneExpert) {
  std::vector<double> load(8);
  load[5] = 1000;
  const auto statistics = statistics_of(8, load, std::vector<double>(64));
  const Plan plan = make_plan(statistics, Topology::grid(2, 2), preset_grace());
  EXPECT_EQ(plan.layers[0].skew, 4);
  EXPECT_EQ(plan.layers[0].replicas, 3);
  EXPECT_EQ(plan.layers[0].experts[5].size(), 4U);
  EXPECT_EQ(plan.copies(), 3);
  EXPECT_THAT(plan.layers[0].predicted_load, ElementsAre(.25, .25, .25, .25));
}

TEST(MakePlan, AnExpertNeverUsedIsPlacedAndNotCopied) {
  auto trace = random_trace(6, 200, 10, 3, 1);
  trace.num_experts = 12;  // 10 and 11 are never chosen
  for (const PlannerOptions& options : every_configuration()) {
    const Plan plan = make_plan(count_statistics(trace), Topology::grid(2, 3), options);
    expect_sound(plan, options);
    EXPECT_EQ(plan.layers[0].experts[10].size(), 1U);
    EXPECT_EQ(plan.layers[0].experts[11].size(), 1U);
  }
}

TEST(MakePlan, NeedsAnAffinityWhereThePresetDoes) {
  const auto statistics = statistics_of(4, {1, 2, 3, 4}, {});
  EXPECT_EQ(make_plan(statistics, Topology::grid(1, 2), preset_contiguous()).copies(), 0);
  EXPECT_THAT(refusal(ErrorCategory::kInput,
                      [&] { make_plan(statistics, Topology::grid(1, 2), preset_grace()); }),
              HasSubstr("preset grace: got statistics without an affinity"));
}

TEST(MakePlan, GraceKeepsPlantedTopicsOnTheirNodes) {
  // Topic 0 uses even experts, topic 1 odd ones: no token needs to cross but for its home.
  const auto trace = random_trace(7, 400, 16, 4, 2, 2);
  const TraceSplit split = split_by_sequence(trace, 2);
  const auto statistics = count_statistics(split.fit);
  const auto nodes_visited = [&](const PlannerOptions& options) {
    return evaluate(make_plan(statistics, Topology::grid(2, 2), options), split.held_out,
                    RoutingPolicy::kTopologyAware)
        .total.nodes_visited;
  };
  EXPECT_LT(nodes_visited(preset_grace()), 0.9 * nodes_visited(preset_contiguous()));
}

TEST(SharedTraces, GraceCrossesLessThanContiguousOnHeldOutSequences) {
  const auto path =
      std::filesystem::path(GRACEMOE_SHARED_DIR) / "traces" / "gpt-oss-20b.trace.safetensors";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no shared traces here";
  const TraceSplit split = split_by_sequence(read_trace(path), 2);
  const auto statistics = count_statistics(split.fit);
  for (const char* shape : {"2x2", "2x4"}) {
    const auto total = [&](const PlannerOptions& options) {
      return evaluate(make_plan(statistics, Topology::parse(shape), options), split.held_out,
                      RoutingPolicy::kTopologyAware)
          .total;
    };
    const RoutingMetrics contiguous = total(preset_contiguous());
    const RoutingMetrics occult = total(preset_occult());
    const RoutingMetrics grace = total(preset_grace());
    EXPECT_LT(grace.nodes_visited, 0.8 * contiguous.nodes_visited) << shape;
    EXPECT_LT(grace.nodes_visited, occult.nodes_visited) << shape;
    EXPECT_LT(grace.load_max_over_mean, occult.load_max_over_mean) << shape;
    EXPECT_LT(grace.extra_memory, 0.15) << shape;
  }
}

}  // namespace
}  // namespace gracemoe
