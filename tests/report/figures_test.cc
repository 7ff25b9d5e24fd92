// The pictures of plans: what they show, and what they leave out.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "report/curve_figures.h"
#include "report/html_report.h"
#include "report/markup_check.h"
#include "report/page_parts.h"
#include "report/plan_figures.h"
#include "report/sample_page.h"
#include "report/sample_plans.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++count;
  return count;
}

void expect_sound(const std::string& html) {
  EXPECT_EQ(MarkupCheck::problem(html), "");
  for (const char* bad : {"nan", "inf"}) EXPECT_THAT(html, Not(HasSubstr(bad)));
}

TEST(Folding, LeavesAFewEvenlySpaced) {
  EXPECT_THAT(fold(4, 4).open, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(fold(5, 4).open, ElementsAre(0, 1, 2, 3, 4));  // one alone is not worth folding
  EXPECT_THAT(fold(24, 4).open, ElementsAre(0, 8, 15, 23));
  EXPECT_EQ(fold(24, 4).folded.size(), 20U);
  EXPECT_TRUE(fold(0, 4).open.empty());
  EXPECT_THAT(fold(9, 1).open, ElementsAre(4));
  for (std::size_t count = 0; count < 70; ++count) {
    const auto folding = fold(count, 6);
    EXPECT_EQ(folding.open.size() + folding.folded.size(), count);
    EXPECT_EQ(folding.open.size(), count <= 7 ? count : 6);
  }
}

TEST(Details, EscapesItsSummaryAndVanishesWhenEmpty) {
  EXPECT_EQ(details("a < b", "<p>x</p>"),
            "<details><summary>a &lt; b</summary>\n<p>x</p></details>\n");
  EXPECT_EQ(details("a", ""), "");
}

TEST(PercentChange, HasASignOnlyWhereItShows) {
  EXPECT_EQ(percent_change(4, 3, 1), "\u221225.0%");
  EXPECT_EQ(percent_change(4, 5, 0), "+25%");
  EXPECT_EQ(percent_change(4, 4.0001, 1), "0.0%");
  EXPECT_EQ(percent_change(0, 5, 0), "\u2013");
}

PlanOutcome outcome_of(const std::string& name, const Plan& plan, const RoutingTrace& trace) {
  return {name, plan.topology, evaluate(plan, trace, RoutingPolicy::kPrimary)};
}

TEST(SpreadFigure, ShowsTheShareOfTokensPerNodesVisited) {
  const std::vector<PlanOutcome> outcomes{outcome_of("even", pair_plan(0), pair_trace(0)),
                                          outcome_of("odd", pair_plan(1), pair_trace(0))};
  const auto html = spread_figure(outcomes);
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("even: 50.0% of the tokens visit 0 other nodes"));
  EXPECT_THAT(html, HasSubstr("odd: 100.0% of the tokens visit 1 other nodes"));
}

TEST(SpreadFigure, ManyNodesShareTheLastBin) {
  PlanOutcome outcome{"far", Topology::grid(20, 1), {}};
  outcome.metrics.total.tokens = 100;
  outcome.metrics.total.visits.assign(20, 5);
  const auto html = spread_figure(std::vector{outcome});
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("far: 55.0% of the tokens visit 9 or more other nodes"));
  outcome.metrics.total.visits.assign(20, 0);
  EXPECT_EQ(spread_figure(std::vector{outcome}), "");
}

TEST(RowsFigure, HasABarAnExchange) {
  const auto html = rows_figure(std::vector{outcome_of("odd", pair_plan(1), pair_trace(0))});
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("odd: a row an expert 1.00 rows a token"));
  EXPECT_THAT(html, HasSubstr("odd: a row a node 1.00 rows a token"));
}

TEST(PlanTable, MarksTheFewestVisitsAndComparesWithTheFirst) {
  const auto html = plan_table(std::vector{outcome_of("odd", pair_plan(1), pair_trace(0)),
                                           outcome_of("even", pair_plan(0), pair_trace(0))});
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("<tr class=\"best\"><td>even</td><td>0.500</td>"));
  EXPECT_THAT(html, HasSubstr("<td>\u221250.0%</td>"));
  EXPECT_EQ(count_of(html, "class=\"best\""), 1U);
}

TEST(PredictedTime, IsThereOnlyWhereKnown) {
  std::vector<Plan> plans{pair_plan(0), pair_plan(1)};
  const std::vector<std::string> names{"a", "b"};
  EXPECT_EQ(predicted_time_figure(plans, names), "");
  plans[1].layers[0].predicted_time = {2e-6, 1e-6, 4e-6};
  const auto html = predicted_time_figure(plans, names);
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("b: across nodes 2.00 microseconds"));
  EXPECT_THAT(html, HasSubstr("7.00 \u00b5s"));
  EXPECT_THAT(html, Not(HasSubstr("a: across nodes")));
}

TEST(MemoryFigures, DrawACurveTheOwnPointAndTheNumbers) {
  std::vector<Plan> plans{pair_plan(0), pair_plan(1)};
  const std::vector<std::string> names{"a", "b"};
  EXPECT_EQ(memory_figures(plans, names), "");
  plans[0].memory_curve = {{0, 0.8, 1.2, 0}, {0.25, 0.6, 1.1, 0}, {1, 0, 1, 0}};
  plans[1].layers[0].nodes_visited = 0.7;
  auto html = memory_figures(plans, names);
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("a, 25% more memory: 0.60"));
  EXPECT_THAT(html, HasSubstr("b as planned, 0.0% more memory: 0.70"));
  EXPECT_THAT(html, Not(HasSubstr("a as planned")));  // it does not know its own figures
  EXPECT_THAT(html, Not(HasSubstr("Predicted time")));
  EXPECT_THAT(html, HasSubstr("<td>25%</td><td>0.600</td><td>\u221225.0%</td><td>0.0080</td>"));
  plans[0].memory_curve[1].layer_time_s = 3e-4;
  html = memory_figures(plans, names);
  EXPECT_THAT(html, HasSubstr("300.0 \u00b5s"));
  EXPECT_EQ(count_of(html, "<svg"), 3U);
}

Plan with_ratios(double chosen) {
  Plan plan = pair_plan(0);
  plan.preset = "grace";
  plan.layers.resize(12, plan.layers[0]);
  for (auto& layer : plan.layers) {
    layer.ratio = chosen;
    layer.ratio_curve = {{0, 0, 0.2}, {0.3, 1, 0.4}, {0.6, 2, 0.45}};
  }
  return plan;
}

TEST(RatioFigures, MarkTheChoiceInEveryLayer) {
  const std::vector<Plan> plans{with_ratios(0.3)};
  const std::vector<std::string> names{"grace"};
  const auto html = ratio_figures(plans, names);
  expect_sound(html);
  EXPECT_EQ(count_of(html, "<svg"), 12U);
  EXPECT_EQ(count_of(html, "class=\"ring hot\""), 12U);
  EXPECT_THAT(html,
              HasSubstr("r = 0.30: deviation 1.00 experts, 40.0% of the affinity inside groups"));
  EXPECT_THAT(html, HasSubstr("The other 4 layers"));
}

TEST(RatioFigures, AreNotRepeatedAndSurviveFlatCurves) {
  std::vector<Plan> plans{pair_plan(0), with_ratios(0.3), with_ratios(0.3), with_ratios(0)};
  const std::vector<std::string> names{"none", "first", "again", "other"};
  const auto html = ratio_figures(plans, names);
  EXPECT_THAT(html, HasSubstr("<h3>first"));
  EXPECT_THAT(html, HasSubstr("<h3>other"));
  EXPECT_THAT(html, Not(HasSubstr("<h3>again")));
  EXPECT_THAT(html, Not(HasSubstr("<h3>none")));
  for (auto& layer : plans[1].layers) layer.ratio_curve = {{0, 0.5, 0.4}, {1, 0.5, 0.4}};
  expect_sound(ratio_figures(std::vector{plans[1]}, std::vector<std::string>{"flat"}));
  EXPECT_EQ(ratio_figures(std::vector{plans[0]}, std::vector<std::string>{"none"}), "");
}

// Ends of an axis that differ little are told apart; equal ones are one.
TEST(RatioFigures, AxisLabelsDiffer) {
  std::vector<Plan> plans{pair_plan(0)};
  plans[0].layers[0].ratio_curve = {{0, 0, 0.70001}, {0.1, 1, 0.70009}};
  const std::vector<std::string> names{"a"};
  const auto html = ratio_figures(plans, names);
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr(">70.00%<"));
  EXPECT_THAT(html, HasSubstr(">70.01%<"));
  EXPECT_THAT(html, Not(HasSubstr(">70.0%<")));
  plans[0].layers[0].ratio_curve = {{0, 0, 0.7}, {0.1, 1, 0.7}};
  EXPECT_EQ(count_of(ratio_figures(plans, names), ">70.0%<"), 1U);
}

TEST(HtmlReport, PlansAloneShowWhatTheyCarry) {
  ReportInput input;
  input.plans = {with_ratios(0.3)};
  input.plan_names = {"mine.json"};
  const auto html = html_report(input);
  expect_sound(html);
  EXPECT_THAT(html, HasSubstr("Choosing the group sizes"));
  EXPECT_THAT(html, HasSubstr("contiguous \u2192 mine.json"));
  EXPECT_THAT(html, Not(HasSubstr("chosen together</h2>")));
  EXPECT_THAT(html, Not(HasSubstr("Plans on the trace")));
  input.plans.push_back(pair_plan(0));
  input.plan_names.emplace_back("short.json");
  EXPECT_THAT(error_of([&] { html_report(input); }),
              HasSubstr("plan 'short.json': got 1 layers of 4 experts, wanted 12 layers"));
}

TEST(HtmlReport, EverySectionIsListedAtTheTop) {
  const auto trace = clustered_trace();
  const auto html = html_report(sample_page(trace));
  expect_sound(html);
  const auto sections = count_of(html, "<section ");
  EXPECT_EQ(sections, 12U);
  EXPECT_EQ(count_of(html, "<h2>"), sections);
  EXPECT_EQ(count_of(html, "<a href=\"#"), sections);
}

// Clusters and traces at the edge of what there can be.
TEST(HtmlReport, DegenerateCases) {
  for (const std::string topology : {"1x1", "1x4", "8x1"}) {
    RoutingTrace trace = pair_trace(0);
    ReportInput input;
    input.trace = &trace;
    input.plans = {contiguous_plan({"tiny", "", 4, 2, 1, Topology::parse(topology)})};
    expect_sound(html_report(input));
    trace.sequence.clear();
    trace.experts.clear();
    expect_sound(html_report(input));
  }
}

}  // namespace
}  // namespace gracemoe
