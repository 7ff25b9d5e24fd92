#include "report/plan_text.h"

#include <gmock/gmock.h>

#include <algorithm>

#include "report/sample_plans.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;
using testing::Not;

Plan with_ratio_curve() {
  Plan plan = pair_plan(0);
  plan.layers[0].ratio = 0.1;
  plan.layers[0].ratio_curve = {{0, 0, 0.4}, {0.05, 1, 0.7}, {0.1, 1, 0.7}, {0.15, 2, 0.75}};
  return plan;
}

TEST(PlanText, CurveOfDeviationAndUtilisation) {
  EXPECT_EQ(ratio_curve_text(with_ratio_curve(), Colour::kNever),
            "S: deviation of group sizes, in experts; U: share of the affinity inside groups\n"
            "layer             r     S      U\n"
            "    0          0.00  0.00  40.0%\n"
            "       0.05 to 0.10  1.00  70.0%  <- knee\n"
            "               0.15  2.00  75.0%\n");
  EXPECT_EQ(ratio_choice_text(with_ratio_curve()),
            "group sizes: r at the knee of (S, U) is 0.10; sizes deviate by S = 1.00 experts and "
            "hold U = 70.0% of the affinity, equal sizes 40.0% (means over layers)\n");
  EXPECT_THAT(ratio_curve_text(with_ratio_curve(), Colour::kAlways),
              HasSubstr("\033[1;32m       0.05 to 0.10"));
}

TEST(PlanText, SeveralLayersAreMeans) {
  Plan plan = with_ratio_curve();
  plan.layers.push_back(plan.layers[0]);
  plan.layers.push_back(pair_plan(0).layers[0]);  // one without a curve
  plan.layers[1].ratio = 0;
  EXPECT_THAT(ratio_choice_text(plan),
              HasSubstr("is 0.00 to 0.10; sizes deviate by S = 0.50 experts and hold U = 55.0%"));
}

Plan with_memory_curve() {
  Plan plan = pair_plan(0);
  plan.memory_curve = {{0, 0.8, 1.1, 0.004}, {0.5, 0.5, 1.05, 0.003}, {1, 0, 1, 0.001}};
  return plan;
}

TEST(PlanText, WhatMemoryBuys) {
  Plan plan = with_memory_curve();
  EXPECT_EQ(memory_curve_text(plan, Colour::kNever),
            "what memory buys (on the text planned on; the other rows are of plans before the last "
            "refinement, whose devices may hold unequally many in a layer):\n"
            "extra expert  nodes visited  device load  layer time        against\n"
            "      memory      per token     max/mean   predicted  the row above\n"
            "        0.0%          0.800        1.100    4.000 ms                 <- this plan\n"
            "       50.0%          0.500        1.050    3.000 ms      -1.000 ms\n"
            "      100.0%          0.000        1.000    1.000 ms      -2.000 ms\n");
  plan.layers[0].experts[0].push_back({1, 1.0});
  EXPECT_THAT(
      memory_curve_text(plan, Colour::kNever),
      HasSubstr("4.000 ms\n       25.0%" + std::string(57, ' ') + "<- this plan\n       50.0% "));
  for (int e = 0; e < 4; ++e) plan.layers[0].experts[static_cast<std::size_t>(e)] = {{0}, {1}};
  EXPECT_THAT(memory_curve_text(plan, Colour::kNever), HasSubstr("-2.000 ms  <- this plan\n"));
}

TEST(PlanText, UnknownTimesAreLeftEmpty) {
  Plan plan = with_memory_curve();
  for (MemoryPoint& p : plan.memory_curve) p.layer_time_s = 0;
  EXPECT_THAT(memory_curve_text(plan, Colour::kNever), Not(HasSubstr("ms")));
}

TEST(PlanText, MemoryOfEachDevice) {
  Cluster cluster = Cluster::uniform(Topology::grid(2, 1));
  EXPECT_EQ(device_memory_text(pair_plan(0), cluster, 1e6, Colour::kNever), "");
  cluster.devices[0].memory_bytes = 1.5e6;
  EXPECT_EQ(device_memory_text(pair_plan(0), cluster, 1e6, Colour::kNever),
            "experts' weights over all layers:\n"
            "device  experts  weights  memory\n"
            "     0        2   2.0 MB  1.5 MB  <- does not fit\n"
            "     1        2   2.0 MB     any\n");
}

TEST(PlanText, MemoryOfTheFullestOfManyDevices) {
  Cluster cluster = Cluster::uniform(Topology::grid(10, 2));
  for (DeviceSpec& device : cluster.devices) device.memory_bytes = 8e6;
  cluster.devices[17].memory_bytes = 4e6;
  const Plan plan = contiguous_plan({"tiny", "", 40, 2, 1, cluster.topology});
  const std::string text = device_memory_text(plan, cluster, 1e6, Colour::kNever);
  EXPECT_THAT(text, HasSubstr("on the fullest 16 of 20 devices:\n"));
  EXPECT_THAT(text, HasSubstr("memory\n    17        2   2.0 MB  4.0 MB\n     0 "));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 18);
}

TEST(PlanText, NothingToTell) {
  EXPECT_EQ(ratio_choice_text(pair_plan(0)), "");
  EXPECT_EQ(ratio_curve_text(pair_plan(0), Colour::kNever), "");
  EXPECT_EQ(memory_curve_text(pair_plan(0), Colour::kNever), "");
}

}  // namespace
}  // namespace gracemoe
