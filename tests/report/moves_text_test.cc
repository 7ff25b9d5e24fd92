#include "report/moves_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/sample_plans.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

CostModel model() {
  CostModel model = make_cost_model(Cluster::uniform(Topology::grid(2, 1)), {}, 512);
  model.cluster.inter_node = {0, 1e9};
  model.workload.expert_bytes = 26e6;
  return model;
}

TEST(MovesText, SetsTheCostAgainstTheGain) {
  const Plan from = pair_plan(1), to = pair_plan(0);
  const std::string text = moves_text(from, to, pair_trace(0), model(), 1000);
  EXPECT_THAT(text,
              StartsWith("2 experts move, 0 copies are added, 0 dropped: 52.0 MB to send, 52 "
                         "ms by the cost model\na layer's time, predicted on the text planned "
                         "on: "));
  EXPECT_THAT(text, HasSubstr("  layer 0: expert 1 1>0, expert 2 0>1\n"));
  const auto layer_s = [&](const Plan& p) {
    return mean_layer_time(model(), evaluate(p, pair_trace(0), RoutingPolicy::kTopologyAware))
        .total_s();
  };
  const double saved_s = 1000 * (layer_s(from) - layer_s(to));
  ASSERT_GT(saved_s, 1);
  EXPECT_THAT(text, HasSubstr("ms after; over 1,000 steps, "));
  EXPECT_NEAR(std::stod(text.substr(text.find("steps, ") + 7)), saved_s, 0.005 * saved_s);
  EXPECT_THAT(text, HasSubstr(" s saved\n"));
  EXPECT_THAT(moves_text(to, from, pair_trace(0), model(), 1), HasSubstr("over 1 step, "));
  EXPECT_THAT(moves_text(to, from, pair_trace(0), model(), 1), HasSubstr(" ms lost\n"));
}

TEST(MovesText, OneOfAKindIsNotSeveral) {
  const Plan from = pair_plan(0);
  Plan to = from;
  to.layers[0].experts[0][0].device = 1;
  to.layers[0].experts[1].push_back({1, 1.0});
  const std::string text = moves_text(from, to, {}, model(), 1);
  EXPECT_THAT(text, StartsWith("1 expert moves, 1 copy is added, 0 dropped: "));
  EXPECT_THAT(text, Not(HasSubstr("a layer's time")));  // no tokens
  EXPECT_THAT(moves_text(from, from, {}, model(), 1), StartsWith("the old plan is kept"));
}

}  // namespace
}  // namespace gracemoe
