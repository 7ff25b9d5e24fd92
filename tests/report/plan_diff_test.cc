#include "report/plan_diff.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "base/hash.h"
#include "plan/contiguous.h"
#include "report/markup_check.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

// Six experts on 2x2, one layer, every expert on the given devices.
Plan plan_of(const std::vector<std::vector<int>>& devices, const std::string& preset = "p") {
  Plan plan =
      contiguous_plan({"tiny", "", static_cast<int>(devices.size()), 2, 1, Topology::grid(2, 2)});
  plan.preset = preset;
  for (std::size_t e = 0; e < devices.size(); ++e) {
    plan.layers[0].experts[e].clear();
    for (const int d : devices[e]) plan.layers[0].experts[e].push_back({d, 1.0});
  }
  return plan;
}

TEST(PlanDiff, PairsWhatWentWithWhatCame) {
  const Plan before = plan_of({{0}, {1}, {2}, {3}, {0, 2}, {1, 3}});
  const Plan after = plan_of({{0}, {0}, {2, 0, 3}, {3}, {2, 0}, {0}});
  const auto layers = compare_plans(before, after);
  ASSERT_EQ(layers.size(), 1U);
  const auto& diff = layers[0];
  ASSERT_EQ(diff.changes.size(), 3U);
  EXPECT_EQ(diff.changes[0].expert, 1);  // moved inside node 0
  EXPECT_EQ(diff.changes[1].expert, 2);  // two copies more: one on node 0, where it was not
  EXPECT_THAT(diff.changes[1].only_before, IsEmpty());
  EXPECT_THAT(diff.changes[1].only_after, ElementsAre(0, 3));
  EXPECT_EQ(diff.changes[2].expert, 5);  // 1 and 3 gone, 0 came
  EXPECT_THAT(diff.changes[2].only_before, ElementsAre(1, 3));
  EXPECT_EQ(diff.moved, 2);
  EXPECT_EQ(diff.added, 2);
  EXPECT_EQ(diff.dropped, 1);
  EXPECT_EQ(diff.kept, 5);
  EXPECT_EQ(diff.new_on_node, 1);
}

TEST(PlanDiff, OrderAndWeightsOfInstancesDoNotMatter) {
  Plan before = plan_of({{0, 3}, {1}}), after = plan_of({{3, 0}, {1}});
  after.layers[0].experts[0][0].weight = 5;
  const auto total = total_of(compare_plans(before, after));
  EXPECT_THAT(total.changes, IsEmpty());
  EXPECT_EQ(total.kept, 3);
}

// Conservation, and the opposite direction mirrored, on random plans.
TEST(PlanDiff, CountsAddUp) {
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto random_plan = [&](std::uint64_t salt) {
      std::vector<std::vector<int>> devices(8);
      for (std::uint64_t e = 0; e < 8; ++e) {
        std::set<int> on{static_cast<int>(mix64(seed * 100 + salt + e) % 4)};
        if (mix64(seed * 1000 + salt + e) % 3 == 0) on.insert(static_cast<int>(e % 4));
        devices[e].assign(on.begin(), on.end());
      }
      return plan_of(devices);
    };
    const Plan a = random_plan(1), b = random_plan(20);
    const auto there = total_of(compare_plans(a, b)), back = total_of(compare_plans(b, a));
    EXPECT_EQ(there.kept + there.moved + there.dropped, 8 + a.copies());
    EXPECT_EQ(there.kept + there.moved + there.added, 8 + b.copies());
    EXPECT_EQ(there.moved, back.moved);
    EXPECT_EQ(there.added, back.dropped);
    EXPECT_EQ(there.kept, back.kept);
  }
}

TEST(PlanDiff, RefusesPlansOfAnotherShape) {
  EXPECT_THAT(error_of([] {
                compare_plans(plan_of({{0}, {1}}), plan_of({{0}, {1}, {2}}));
              }),
              HasSubstr("got 1 layers of 3 experts on 2x2, wanted 1 layers of 2 experts on 2x2"));
  Plan other = plan_of({{0}, {1}});
  other.topology = Topology::grid(4, 1);
  EXPECT_THAT(error_of([&] { compare_plans(plan_of({{0}, {1}}), other); }), HasSubstr("on 4x1"));
}

TEST(PlanDiffFigures, NameEveryChange) {
  const Plan before = plan_of({{0}, {1}, {2}, {3, 1}}), after = plan_of({{2}, {1, 3}, {2}, {3}});
  const std::vector<Plan> others{after};
  const std::vector<std::string> names{"new <plan>"};
  const auto html = plan_diff_figures(before, "old & wise", others, names);
  EXPECT_EQ(MarkupCheck::problem(html), "");
  EXPECT_THAT(html, HasSubstr("old &amp; wise \u2192 new &lt;plan&gt;"));
  EXPECT_THAT(html, HasSubstr("layer 0: 1 moved, 1 added, 1 dropped"));
  EXPECT_THAT(html, HasSubstr("<b>0</b>: 0 \u2192 2"));
  EXPECT_THAT(html, HasSubstr("<b>1</b>: also on 3"));
  EXPECT_THAT(html, HasSubstr("<b>3</b>: gone from 1"));
  EXPECT_THAT(html, Not(HasSubstr("nan")));
}

TEST(PlanDiffFigures, LargePlansStaySmall) {
  const Plan before = contiguous_plan({"big", "", 256, 8, 58, Topology::grid(8, 8)});
  Plan after = before;
  for (auto& layer : after.layers)
    for (auto& expert : layer.experts) expert[0].device = 63 - expert[0].device;
  const std::vector<Plan> others{after};
  const std::vector<std::string> names{"turned"};
  const auto html = plan_diff_figures(before, "contiguous", others, names);
  EXPECT_LT(html.size(), 600'000U);
  EXPECT_THAT(html, HasSubstr("14,848"));
  EXPECT_THAT(html, HasSubstr("and 232 more"));
}

}  // namespace
}  // namespace gracemoe
