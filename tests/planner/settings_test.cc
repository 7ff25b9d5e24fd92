#include "planner/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/random_inputs.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

struct Asked {
  RoutingTrace trace;
  RoutingStatistics statistics;
  PlannerInput input;

  Asked(int experts, const char* shape) : trace(random_trace(1, 60, experts, 2, 2)) {
    statistics = count_statistics(trace);
    input.statistics = &statistics;
    input.trace = &trace;
    input.model = make_cost_model(Cluster::uniform(Topology::parse(shape)), {}, 512);
  }
};

PlannerOptions with_budget(PlannerOptions options, double budget) {
  options.memory_budget = budget;
  options.effort = 0.001;
  return options;
}

TEST(Settings, SayWhatThePolicyAutoIsAndTheSlots) {
  const Asked asked(8, "2x2");
  PlannerOptions options = with_budget(preset_eplb(), 1.5);
  EXPECT_THAT(describe(options, asked.input),
              EndsWith("policy auto (global here); 3 slots for every device of a layer"));
  options.expert_groups = 4;
  EXPECT_THAT(describe(options, asked.input), HasSubstr("policy auto (hierarchical here)"));
  options.expert_groups = 3;
  EXPECT_THAT(describe(options, asked.input),
              HasSubstr("expert groups 3; policy auto (global here)"));
  options.eplb_policy = EplbPolicy::kGlobal;
  EXPECT_THAT(describe(options, asked.input), HasSubstr("policy global; 3 slots"));
  EXPECT_EQ(make_plan(asked.input, options).settings, describe(options, asked.input));
}

TEST(Settings, SayTheSeedOfBalanceAndTheLimitsOfASearch) {
  Asked asked(8, "2x2");
  PlannerOptions options = with_budget(preset_balance(), 1.5);
  options.seed = 7;
  EXPECT_THAT(describe(options, asked.input), HasSubstr("; seed 7; 3 slots for every device"));
  options = with_budget(preset_grace_plus(), 1.5);
  EXPECT_EQ(describe(options, asked.input), describe(options));
  for (DeviceSpec& device : asked.input.model.cluster.devices) device.memory_bytes = 2e9;
  asked.input.model.cluster.devices[1] = {0.25, 1e9};
  const Plan from = make_plan(asked.statistics, Topology::grid(2, 2), preset_occult());
  asked.input.from = &from;
  asked.input.steps = 1e6;
  EXPECT_THAT(
      describe(options, asked.input),
      EndsWith("; devices of 1 to 2 GB for experts of 12.6 MB; work counted over device "
               "speeds of 0.25 to 1; from a plan of preset occult, to serve 1000000 steps"));
}

TEST(BudgetNote, TellsWhatIsRoundedAndWhatIsTooMuch) {
  const Asked asked(8, "1x4");
  EXPECT_EQ(budget_note(with_budget(preset_eplb(), 1.5), asked.input), "");
  EXPECT_EQ(budget_note(with_budget(preset_balance(), 1.25), asked.input),
            "memory budget 1.25 of 8 experts on 4 devices is 1: 2 slots on every device of a "
            "layer, the next number takes a budget of 1.5");
  EXPECT_EQ(budget_note(with_budget(preset_grace_plus(), 1.25), asked.input), "");
  for (const PlannerOptions& options : {preset_eplb(), preset_balance(), preset_grace_plus()})
    EXPECT_EQ(budget_note(with_budget(options, 100), asked.input),
              "memory budget 100: more than every expert on every device, taken as 4");
  EXPECT_EQ(budget_note(preset_grace(), asked.input), "");
  EXPECT_EQ(slots_a_device(8, 4, 1e6), 8);
}

TEST(Memory, IsKeptByEveryPresetOrRefused) {
  Asked asked(8, "2x2");
  const double expert = asked.input.model.workload.expert_bytes;
  for (DeviceSpec& device : asked.input.model.cluster.devices) device.memory_bytes = 4 * expert;
  for (const PlannerOptions& options : {preset_contiguous(), preset_balance(), preset_eplb()})
    EXPECT_EQ(error_of([&] { make_plan(asked.input, options); }), "") << options.preset;
  asked.input.model.cluster.devices[2].memory_bytes = 3.5 * expert;
  EXPECT_THAT(error_of([&] { make_plan(asked.input, preset_contiguous()); }),
              HasSubstr("preset contiguous: device 2: got 4 experts over all layers, 50.3 MB, "
                        "wanted at most 44.0 MB, its memory in the cluster file; the preset "
                        "grace+ keeps to memory"));
}

// Groups that are to stay on a node: nodes of 3 and 1 devices are not two nodes of 2.
TEST(ExpertGroups, NeedNodesOfEqualSize) {
  const Asked asked(8, "3,1");
  PlannerOptions options = with_budget(preset_balance(), 1.5);
  EXPECT_EQ(error_of([&] { make_plan(asked.input, options); }, ErrorCategory::kUsage), "");
  options.expert_groups = 4;
  EXPECT_THAT(error_of([&] { make_plan(asked.input, options); }, ErrorCategory::kUsage),
              HasSubstr("got nodes of 3,1 devices, wanted nodes of equal size; leave "
                        "--expert-groups out"));
  options = with_budget(preset_eplb(), 1.5);
  options.expert_groups = 4;
  EXPECT_THAT(make_plan(asked.input, options).settings, HasSubstr("auto (global here)"));
  options.eplb_policy = EplbPolicy::kHierarchical;
  EXPECT_THAT(error_of([&] { make_plan(asked.input, options); }, ErrorCategory::kUsage),
              HasSubstr("wanted nodes of equal size; take the global policy"));
}

TEST(EmptyTrace, TheSearchTellsNothingOfGracesGroups) {
  Asked asked(8, "2x2");
  asked.trace.sequence.clear();
  asked.trace.experts.clear();
  asked.statistics = count_statistics(asked.trace);
  for (const LayerPlan& layer :
       make_plan(asked.input, with_budget(preset_grace_plus(), 1)).layers) {
    EXPECT_TRUE(layer.ratio_curve.empty());
    EXPECT_EQ(layer.ratio, 0);
  }
}

TEST(Work, IsLoadOverSpeed) {
  RoutingMetrics layer;
  layer.load = {100, 100, 200};
  EXPECT_DOUBLE_EQ(work_max_over_mean(layer, std::vector<DeviceSpec>(3)), 1.5);
  const std::vector<DeviceSpec> unequal{{1}, {0.5}, {2}};
  EXPECT_DOUBLE_EQ(work_max_over_mean(layer, unequal), 200 / (400 / 3.5));
  PlanMetrics metrics;
  EXPECT_DOUBLE_EQ(work_max_over_mean(metrics, unequal), 0);
  metrics.layers = {layer, layer};
  metrics.layers[1].load = {2, 1, 4};
  EXPECT_DOUBLE_EQ(work_max_over_mean(metrics, unequal), (1.75 + 1) / 2);
  layer.load = {0, 0, 0};
  EXPECT_DOUBLE_EQ(work_max_over_mean(layer, unequal), 0);
}

}  // namespace
}  // namespace gracemoe
