#include "report/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"
#include "plan/contiguous.h"
#include "report/sample_plans.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// Two plans on two traces: all experts of a token on its node, or none.
Evaluation two_by_two() {
  Evaluation evaluation;
  evaluation.routing = RoutingPolicy::kPrimary;
  evaluation.plans = {{"even", "dir/even.json", pair_plan(0)},
                      {"odd", "dir/odd.json", pair_plan(1)}};
  judge(evaluation, "a", "dir/a", pair_trace(0));
  judge(evaluation, "b", "dir/b", pair_trace(1));
  return evaluation;
}

TEST(FileLabels, AreShortAndDistinct) {
  EXPECT_THAT(file_labels({"x/a.json", "y/b.json"}), ElementsAre("a.json", "b.json"));
  EXPECT_THAT(file_labels({"x/a.json", "y/a.json", "c"}), ElementsAre("x/a.json", "y/a.json", "c"));
  EXPECT_THAT(file_labels({"a", "a", "a"}), ElementsAre("a", "a (2)", "a (3)"));
  EXPECT_TRUE(file_labels({}).empty());
}

TEST(Evaluation, LossIsAgainstTheBestPlanForTheSameCluster) {
  Evaluation evaluation = two_by_two();
  EXPECT_DOUBLE_EQ(evaluation.metrics[0][0].total.nodes_visited, 0.5);
  EXPECT_DOUBLE_EQ(evaluation.metrics[0][1].total.nodes_visited, 1.0);
  EXPECT_DOUBLE_EQ(loss_against_best(evaluation, 0, 0).value(), 0);
  EXPECT_DOUBLE_EQ(loss_against_best(evaluation, 0, 1).value(), 1.0);
  EXPECT_DOUBLE_EQ(loss_against_best(evaluation, 1, 0).value(), 1.0);
  // Another cluster is not comparable.
  evaluation.plans[0].plan.topology = Topology::grid(1, 2);
  EXPECT_DOUBLE_EQ(loss_against_best(evaluation, 0, 1).value(), 0);
  evaluation.plans[0].plan.topology = evaluation.plans[1].plan.topology;
  evaluation.metrics[0][0].total.nodes_visited = 0;
  EXPECT_FALSE(loss_against_best(evaluation, 0, 1).has_value());
}

TEST(Evaluation, TextHasARowAPlanAndTheMatrixOfLosses) {
  const auto text = evaluation_text(two_by_two(), false, Colour::kNever);
  EXPECT_THAT(text, HasSubstr("a: 4 tokens in 2 sequences of tiny (prefill); 1 MoE layer of 4 "
                              "experts, top-2; routing primary\n"));
  EXPECT_THAT(text, HasSubstr("even  contiguous  2x1              0.500        50.0%"));
  EXPECT_THAT(text, HasSubstr("+100.0%"));
  EXPECT_THAT(text,
              HasSubstr("nodes visited per token      a     loss      b     loss  mean loss\n"
                        "even                     0.500     best  1.000  +100.0%     +50.0%\n"
                        "odd                      1.000  +100.0%  0.500     best     +50.0%\n"));
  EXPECT_THAT(text, Not(HasSubstr("layer  plan")));
  EXPECT_THAT(text, Not(HasSubstr("\033")));
  EXPECT_THAT(text, Not(HasSubstr("predicted")));
  EXPECT_EQ(evaluation_text({}, true, Colour::kNever), "no plans\n");
}

TEST(Evaluation, SaysWherePlanAndTraceAreOfDifferentCheckpoints) {
  Evaluation evaluation;
  evaluation.plans = {{"p", "p.json", pair_plan(0)}, {"q", "q.json", pair_plan(1)}};
  evaluation.plans[0].plan.fingerprint = "0123";
  RoutingTrace trace = pair_trace(0);
  trace.fingerprint = "4567";
  judge(evaluation, "t", "t.st", trace);
  EXPECT_THAT(evaluation.warnings, ElementsAre(HasSubstr("p is a plan for tiny (fingerprint 0123), "
                                                         "t is of tiny (fingerprint 4567)")));
  EXPECT_EQ(parse_json(evaluation_json(evaluation), "e")["warnings"].size(), 1U);
}

TEST(Evaluation, TellsWorkOverSpeedOfAKnownCluster) {
  Evaluation evaluation = two_by_two();
  EXPECT_THAT(evaluation_text(evaluation, false, Colour::kNever), Not(HasSubstr("over speed")));
  evaluation.devices = {{1}, {3}};  // both devices have the same load
  EXPECT_THAT(evaluation_text(evaluation, false, Colour::kNever), HasSubstr("work over speed"));
  const Json results = parse_json(evaluation_json(evaluation), "e")["results"];
  EXPECT_EQ(results[0]["load_max_over_mean"].get<double>(), 1);
  EXPECT_EQ(results[0]["work_max_over_mean"].get<double>(), 2);
  EXPECT_EQ(results[0]["layers"][0]["work_max_over_mean"].get<double>(), 2);
}

TEST(Evaluation, ColourMarksThePlanWithTheFewestVisits) {
  const auto text = evaluation_text(two_by_two(), false, Colour::kAlways);
  EXPECT_LT(text.find("\033[1;32meven"), text.find("\033[1;32modd"));  // trace a, then b
  Evaluation other = two_by_two();
  other.plans[0].plan.topology = Topology::grid(1, 2);
  EXPECT_THAT(evaluation_text(other, false, Colour::kAlways), Not(HasSubstr("\033")));
}

TEST(Evaluation, PerLayerHasALineAPlanInEveryLayer) {
  const auto text = evaluation_text(two_by_two(), true, Colour::kNever);
  EXPECT_THAT(text, HasSubstr("\n0      even    0.500"));
  EXPECT_THAT(text, HasSubstr("\n       odd     1.000"));
}

TEST(Evaluation, PredictedTimesAreMeansOverTheLayersThatHaveThem) {
  Plan plan = pair_plan(0);
  EXPECT_FALSE(mean_predicted_time(plan).has_value());
  plan.layers.resize(3, plan.layers[0]);
  plan.layers[0].predicted_time = {1e-6, 2e-6, 3e-6};
  plan.layers[2].predicted_time = {3e-6, 2e-6, 4e-6};
  const auto time = mean_predicted_time(plan);
  ASSERT_TRUE(time.has_value());
  EXPECT_DOUBLE_EQ(time->cross_node_s, 2e-6);
  EXPECT_DOUBLE_EQ(time->total_s(), 7.5e-6);

  Evaluation evaluation = two_by_two();
  evaluation.plans[1].plan.layers[0].predicted_time = {1e-6, 2e-6, 3e-6};
  evaluation.plans[1].plan.time_basis = "256 tokens";
  const auto text = evaluation_text(evaluation, false, Colour::kNever);
  EXPECT_THAT(text, HasSubstr(" 1.0           2.0      3.0    6.0\n"
                              "assuming 256 tokens\n"));
}

TEST(Evaluation, JsonHasEveryFigureOfEveryLayer) {
  Evaluation evaluation = two_by_two();
  evaluation.plans[1].plan.layers[0].predicted_time = {1, 2, 3};
  const Json json = parse_json(evaluation_json(evaluation), "evaluation");
  EXPECT_EQ(json["format"], "gracemoe-evaluation");
  EXPECT_EQ(json["version"], 1);
  EXPECT_EQ(json["routing"], "primary");
  EXPECT_FALSE(json.contains("nodes_visited_per_token"));  // of which of the four?
  ASSERT_EQ(json["results"].size(), 4U);
  const Json& result = json["results"][1];
  EXPECT_EQ(result["plan"], "odd");
  EXPECT_EQ(result["trace"], "a");
  EXPECT_DOUBLE_EQ(result["nodes_visited_per_token"].get<double>(), 1.0);
  EXPECT_DOUBLE_EQ(result["loss_against_best"].get<double>(), 1.0);
  EXPECT_EQ(result["tokens_by_nodes_visited"], Json({0, 4}));
  EXPECT_EQ(result["load"], Json({4, 4}));
  EXPECT_DOUBLE_EQ(result["load_max_over_mean"].get<double>(), 1.0);
  EXPECT_EQ(result["dispatch_rows"]["cross_node"]["flat_per_expert"], 4);
  EXPECT_EQ(result["layers"].size(), 1U);
  EXPECT_EQ(result["layers"][0]["predicted_time_s"]["total"], 6);
  EXPECT_DOUBLE_EQ(result["layers"][0]["nodes_visited_per_token"].get<double>(), 1.0);
  EXPECT_EQ(json["plans"][1]["predicted_layer_time_s"]["compute"], 3);
  EXPECT_FALSE(json["plans"][0].contains("predicted_layer_time_s"));
  EXPECT_EQ(json["plans"][0]["file"], "dir/even.json");
  EXPECT_EQ(json["traces"][1]["sequences"], 2);
}

TEST(Evaluation, OnePlanOnOneTraceIsAlsoAtTheTop) {
  Evaluation evaluation;
  evaluation.plans = {{"p", "p", pair_plan(0)}};
  judge(evaluation, "a", "a", pair_trace(0));
  const Json json = parse_json(evaluation_json(evaluation), "evaluation");
  EXPECT_DOUBLE_EQ(json["nodes_visited_per_token"].get<double>(), 0.5);
  EXPECT_EQ(json["load_max_over_mean"], json["results"][0]["load_max_over_mean"]);
}

TEST(Evaluation, AnEmptyTraceGivesZeros) {
  Evaluation evaluation = two_by_two();
  RoutingTrace empty = pair_trace(0);
  empty.sequence.clear();
  empty.experts.clear();
  judge(evaluation, "c", "c", empty);
  EXPECT_DOUBLE_EQ(loss_against_best(evaluation, 2, 0).value(), 0);
  EXPECT_THAT(evaluation_text(evaluation, true, Colour::kNever), Not(HasSubstr("nan")));
  EXPECT_EQ(parse_json(evaluation_json(evaluation), "e")["results"][4]["tokens"], 0);
}

TEST(Evaluation, RefusesATraceOfAnotherShapeAndNamesBothFiles) {
  Evaluation evaluation = two_by_two();
  RoutingTrace trace = pair_trace(0);
  trace.num_experts = 5;
  EXPECT_EQ(error_of([&] { judge(evaluation, "c", "dir/c", trace); }),
            "dir/even.json: got 1 MoE layer of 4 experts, top-2, wanted 1 MoE layer of 5 experts, "
            "top-2, as in dir/c; judge a plan on traces of the model that it is for");
  EXPECT_EQ(evaluation.traces.size(), 2U);
}

}  // namespace
}  // namespace gracemoe
