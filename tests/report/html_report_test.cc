#include "report/html_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "metrics/sample_runs.h"
#include "plan/contiguous.h"
#include "report/co_activation.h"
#include "report/load_figure.h"
#include "report/markup_check.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// 3 sequences of 10 tokens, 2 layers, 6 experts, top-2; neighbours 2i and 2i + 1 are mostly chosen
// together.
RoutingTrace small_trace() {
  RoutingTrace trace;
  trace.model = "tiny <model>";
  trace.num_experts = 6;
  trace.top_k = 2;
  trace.layers = 2;
  for (int t = 0; t < 30; ++t) {
    trace.sequence.push_back(t / 10);
    for (int l = 0; l < 2; ++l) {
      const auto first =
          static_cast<std::uint16_t>(mix64(static_cast<std::uint64_t>(t * 2 + l + 1)) % 6);
      const auto step = t % 4 == 0 ? 2 : 1;
      trace.experts.push_back(first);
      trace.experts.push_back(static_cast<std::uint16_t>(step == 1 ? first ^ 1 : (first + 2) % 6));
    }
  }
  return trace;
}

// Device 0: experts 0 and 5; device 1: 1; device 2: 3, 4; device 3: 2, with a copy of 0 at a third
// of its polling weight.
Plan small_plan(const std::string& preset) {
  Plan plan = contiguous_plan({"tiny", "", 6, 2, 2, Topology::grid(2, 2)});
  plan.preset = preset;
  for (auto& layer : plan.layers) {
    layer.experts = {{{0, 2.0}, {3, 1.0}}, {{1, 1}}, {{3, 1}}, {{2, 1}}, {{2, 1}}, {{0, 1}}};
  }
  return plan;
}

TEST(CoActivation, OrdersExpertsByPrimaryDevice) {
  const auto order = order_by_device(small_plan("p").layers[0], 4);
  EXPECT_THAT(order.experts, ElementsAre(0, 5, 1, 3, 4, 2));
  EXPECT_THAT(order.device_begin, ElementsAre(0, 2, 3, 5, 6));
}

TEST(CoActivation, ShareTogetherCountsPairs) {
  const Plan plan = small_plan("p");
  std::vector<double> affinity(36, 0.0);
  const auto pair = [&](std::size_t i, std::size_t j, double n) {
    affinity[i * 6 + j] = affinity[j * 6 + i] = n;
  };
  pair(0, 5, 10);  // one device
  pair(0, 1, 20);  // one node
  pair(2, 3, 30);  // one node
  pair(0, 4, 40);  // two nodes
  const auto share = share_together(affinity, plan.layers[0], plan.topology);
  EXPECT_DOUBLE_EQ(share.on_device, 0.1);
  EXPECT_DOUBLE_EQ(share.on_node, 0.6);
  const std::vector<double> none(36, 0.0);
  EXPECT_EQ(share_together(none, plan.layers[0], plan.topology).on_node, 0);
}

TEST(CoActivation, DrawsAsManyLayersAsFit) {
  EXPECT_THAT(layers_to_draw(4, 64, 2), ElementsAre(0, 1, 2, 3));
  EXPECT_EQ(layers_to_draw(1, 8, 2).size(), 1U);
  const auto many = layers_to_draw(61, 256, 2);  // 256 x 256 pixels are 90 KB
  EXPECT_GT(many.size(), 8U);
  EXPECT_LT(many.size(), 20U);
  EXPECT_EQ(many.front(), 0);
  EXPECT_EQ(many.back(), 60);
  EXPECT_EQ(layers_to_draw(61, 1024, 2).size(), many.size());  // averaged down to 256
}

TEST(Loads, ExpectedLoadFollowsPollingWeightsAndConservesTheTotal) {
  const auto statistics = count_statistics(small_trace());
  const auto column = expected_loads(statistics, small_plan("p"), "p");
  ASSERT_EQ(column.loads.size(), 2U);
  EXPECT_THAT(column.node_of, ElementsAre(0, 0, 1, 1));
  for (int l = 0; l < 2; ++l) {
    const auto load = statistics.layer_load(l);
    const auto& loads = column.loads[static_cast<std::size_t>(l)];
    EXPECT_DOUBLE_EQ(std::accumulate(loads.begin(), loads.end(), 0.0), 60.0);
    EXPECT_DOUBLE_EQ(loads[0], load[0] * 2 / 3 + load[5]);
    EXPECT_DOUBLE_EQ(loads[3], load[0] / 3 + load[2]);
  }
}

TEST(Loads, MeasuredLoadIsTheRunsOwn) {
  const auto column = measured_loads(sample_run("a"));
  EXPECT_THAT(column.node_of, ElementsAre(0, 1));
  EXPECT_THAT(column.loads, ElementsAre(ElementsAre(6, 2), ElementsAre(4, 4)));
  EXPECT_THAT(load_figure(std::vector{column}), HasSubstr("max/mean 1.25, worst layer 1.50"));
  EXPECT_EQ(load_figure({}), "");
}

ReportInput full_input(const RoutingTrace& trace) {
  ReportInput input;
  input.title = "A <b>title</b> & more";
  input.runs = {sample_run("vanilla", 8), sample_run("<script>alert('x')</script>", 2)};
  input.runs[1].settings[1].second = "\"flat\" & <i>";
  input.trace = &trace;
  input.plans = {small_plan("<img src=x>")};
  return input;
}

void expect_self_contained(const std::string& html) {
  EXPECT_EQ(MarkupCheck::problem(html), "");
  for (const char* bad : {"http:", "https:", "<script", "<link", "<img", "<iframe", "@import",
                          "url(", "src=\"", "href=\"/", "nan", "inf\""}) {
    EXPECT_THAT(html, Not(HasSubstr(bad)));
  }
}

TEST(HtmlReport, IsSelfContainedWellFormedAndEscaped) {
  const auto trace = small_trace();
  const auto html = html_report(full_input(trace));
  expect_self_contained(html);
  EXPECT_THAT(html, HasSubstr("<title>A &lt;b&gt;title&lt;/b&gt; &amp; more</title>"));
  EXPECT_THAT(html, HasSubstr("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("tiny &lt;model&gt;"));
  EXPECT_THAT(html, HasSubstr("4.00\u00d7"));
  EXPECT_THAT(html, HasSubstr("prefers-color-scheme: dark"));
}

TEST(HtmlReport, PutsTheContiguousPlanInFront) {
  const auto trace = small_trace();
  ReportInput input;
  input.trace = &trace;
  input.plans = {small_plan("grace")};
  const auto html = html_report(input);
  EXPECT_LT(html.find("contiguous"), html.find(">grace<"));
  input.plans = {small_plan("contiguous")};
  EXPECT_THAT(html_report(input), Not(HasSubstr("contiguous (1)")));
  input.plans = {small_plan("contiguous"), small_plan("grace"), small_plan("grace")};
  EXPECT_THAT(html_report(input), HasSubstr("grace (3)"));
}

TEST(HtmlReport, SaysWherePlanAndTraceAreOfDifferentCheckpoints) {
  RoutingTrace trace = small_trace();
  trace.fingerprint = "4567";
  ReportInput input;
  input.trace = &trace;
  input.plans = {small_plan("p")};
  EXPECT_THAT(html_report(input), Not(HasSubstr("warning: ")));
  input.plans[0].fingerprint = "0123";
  EXPECT_THAT(html_report(input), HasSubstr("warning: p is a plan for tiny (fingerprint 0123), the "
                                            "routing data is of tiny &lt;model&gt;"));
}

TEST(HtmlReport, LeavesOutWhatIsNotGiven) {
  ReportInput input;
  const auto empty = html_report(input);
  expect_self_contained(empty);
  EXPECT_THAT(empty, HasSubstr("gracemoe report"));
  EXPECT_THAT(empty, Not(HasSubstr("<h2>")));

  input.runs = {sample_run("alone")};
  const auto runs_only = html_report(input);
  expect_self_contained(runs_only);
  EXPECT_THAT(runs_only, HasSubstr("Time and traffic"));
  EXPECT_THAT(runs_only, Not(HasSubstr("class=\"keys\"")));
  EXPECT_THAT(runs_only, Not(HasSubstr("chosen together")));

  auto statistics = count_statistics(small_trace());
  input = {};
  input.statistics = &statistics;
  input.plans = {small_plan("grace")};
  EXPECT_THAT(html_report(input), HasSubstr("chosen together"));
  statistics.affinity.clear();
  const auto loads_only = html_report(input);
  expect_self_contained(loads_only);
  EXPECT_THAT(loads_only, Not(HasSubstr("chosen together")));
  EXPECT_THAT(loads_only, HasSubstr("as planned"));
}

template <typename Change>
std::string refusal(Change change) {
  const auto trace = small_trace();
  ReportInput input;
  input.trace = &trace;
  input.plans = {small_plan("one"), small_plan("two")};
  change(input);
  try {
    html_report(input);
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kInput);
    return error.what();
  }
  return "accepted";
}

TEST(HtmlReport, RefusesPlansOfAnotherShape) {
  EXPECT_THAT(refusal([](ReportInput& in) { in.plans[1].layers.pop_back(); }),
              HasSubstr("1 layers of 6 experts"));
  EXPECT_THAT(refusal([](ReportInput& in) { in.plans[1].topology = Topology::grid(1, 4); }),
              HasSubstr("compare plans for one cluster"));
}

TEST(HtmlReport, RunsWithoutTokensOrTimeStillDraw) {
  ReportInput input;
  input.runs = {sample_run("a", 0), sample_run("b", 0)};
  for (auto& run : input.runs) {
    run.layers.assign(2, std::vector<LayerDeviceStatistics>(2));
    run.workload = {};
  }
  expect_self_contained(html_report(input));
}

TEST(HtmlReport, LargeModelsStayBelowFiveMegabytes) {
  RoutingStatistics statistics;
  statistics.num_experts = 256;
  statistics.top_k = 8;
  statistics.layers = 58;
  statistics.load.assign(58 * 256, 8.0);
  statistics.affinity.assign(std::size_t{58} * 256 * 256, 1.0);
  ReportInput input;
  input.statistics = &statistics;
  input.plans = {contiguous_plan({"big", "", 256, 8, 58, Topology::grid(8, 8)})};
  const auto html = html_report(input);
  EXPECT_LT(html.size(), 5'000'000U);
  EXPECT_THAT(html, HasSubstr("of 58 layers are drawn"));
}

TEST(HtmlReport, WritesTheFile) {
  const TempDir folder;
  const auto trace = small_trace();
  const auto input = full_input(trace);
  write_html_report(folder / "report.html", input);
  EXPECT_EQ(read_file(folder / "report.html"), html_report(input));
  EXPECT_THROW(write_html_report("/proc/nowhere/report.html", input), Error);
}

}  // namespace
}  // namespace gracemoe
