#include "plan/plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"
#include "plan/checkpoint.h"
#include "plan/contiguous.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Two layers of three experts on 2x2 devices; expert 1 of layer 0 has a copy.
Plan small_plan() {
  Plan plan;
  plan.preset = "grace";
  plan.settings = "ratio knee; \"quoted\"\n";
  plan.model = "small";
  plan.fingerprint = "0123";
  plan.num_experts = 3;
  plan.top_k = 2;
  plan.topology = Topology::grid(2, 2);
  plan.layers.resize(2);
  plan.layers[0].experts = {{{3, 1.0}}, {{0, 0.6}, {2, 0.4}}, {{0, 1.0}}};
  plan.layers[0].ratio = 0.15;
  plan.layers[0].skew = 1.25;
  plan.layers[0].replicas = 1;
  plan.layers[0].predicted_load = {0.5, 0, 0.25, 0.25};
  plan.layers[0].nodes_visited = 0.75;
  plan.layers[1].experts = {{{0, 1.0}}, {{1, 1.0}}, {{2, 1.0}}};
  return plan;
}

template <typename Action>
std::string refusal(Action action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.category(), ErrorCategory::kInput) << error.what();
    return error.what();
  }
  return "accepted";
}

std::string invalid(const Plan& plan) {
  return refusal([&] { validate(plan, "p.json"); });
}

TEST(Plan, ExpertsOnAndCopies) {
  const Plan plan = small_plan();
  EXPECT_THAT(plan.experts_on(0, 0), ElementsAre(1, 2));
  EXPECT_THAT(plan.experts_on(0, 1), ElementsAre());
  EXPECT_THAT(plan.experts_on(0, 2), ElementsAre(1));
  EXPECT_EQ(plan.copies(), 1);
}

TEST(Plan, ValidateNamesLayerAndExpert) {
  EXPECT_EQ(invalid(small_plan()), "accepted");
  Plan plan = small_plan();
  plan.layers[1].experts[2].clear();
  EXPECT_THAT(invalid(plan), HasSubstr("p.json: layer 1, expert 2: got no device"));
  for (const int device : {-1, 4}) {
    plan = small_plan();
    plan.layers[0].experts[0][0].device = device;
    EXPECT_THAT(invalid(plan), HasSubstr("p.json: layer 0, expert 0: got device " +
                                         std::to_string(device) + ", wanted devices 0 to 3"));
  }
  plan = small_plan();
  plan.layers[0].experts[1][1].device = 0;
  EXPECT_THAT(invalid(plan), HasSubstr("layer 0, expert 1: got device 0 twice"));
  for (const double weight : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    plan = small_plan();
    plan.layers[0].experts[1][0].weight = weight;
    EXPECT_THAT(invalid(plan), HasSubstr("layer 0, expert 1: got polling weight ")) << weight;
  }
  plan = small_plan();
  plan.layers[1].experts.pop_back();
  EXPECT_THAT(invalid(plan), HasSubstr("layer 1: got 2 experts, wanted 3"));
  plan = small_plan();
  plan.layers.clear();
  EXPECT_THAT(invalid(plan), HasSubstr("got no layer"));
  plan = small_plan();
  plan.layers[0].predicted_load = {1, 0};
  EXPECT_THAT(invalid(plan), HasSubstr("predicted_load: got 2 numbers, wanted 4"));
  plan.layers[0].predicted_load = {1, 0, 0, std::nan("")};
  EXPECT_THAT(invalid(plan), HasSubstr("predicted_load: got a negative or infinite"));
  plan = small_plan();
  plan.layers[0].ratio = std::nan("");
  EXPECT_THAT(invalid(plan), HasSubstr("NaN or infinity among its notes"));
}

TEST(PlanFile, RoundTrip) {
  const TempDir dir;
  write_plan(dir / "p.json", small_plan());
  EXPECT_EQ(read_plan(dir / "p.json"), small_plan());
}

TEST(PlanFile, CarriesWhatExplainsThePlan) {
  Plan plan = small_plan();
  plan.time_basis = "4096 tokens a device";
  plan.memory_curve = {{0, 0.9, 1.1, 0.002}, {0.25, 0.5, 1.05, 0.001}};
  plan.layers[1].predicted_time = {0.1, 0.02, 1.0 / 3};
  plan.layers[1].ratio_curve = {{0, 0.5, 0.25}, {0.05, 0.75, 0.3}};
  EXPECT_EQ(parse_plan(plan_text(plan), "p"), plan);
  std::string text = plan_text(plan);
  text.replace(text.find("\"utilisation\": 0.25"), 19, "\"utilisation\": null");
  EXPECT_EQ(parse_plan(text, "p").layers[1].ratio_curve[0].utilisation, 0);
  text.replace(text.find("\"extra_memory\": 0.25"), 20, "\"extra_memory\": \"x\"");
  EXPECT_THAT(error_of([&] { parse_plan(text, "p.json"); }), HasSubstr("memory_curve"));
}

TEST(PlanFile, DoublesReadBackExactly) {
  Plan plan = small_plan();
  for (std::uint64_t i = 0; i < 200; ++i) {
    const double x =
        std::ldexp(unit_interval(hash_combine(7, i)) + 1e-20, static_cast<int>(i) - 100);
    plan.layers[0].experts[1][0].weight = x;
    plan.layers[0].experts[2][0].weight = 1 / x;
    plan.layers[0].skew = x / 3;
    ASSERT_EQ(parse_plan(plan_text(plan), "p"), plan) << x;
  }
}

TEST(PlanFile, HasOneLineAnExpert) {
  const std::string text = plan_text(small_plan());
  EXPECT_THAT(text, HasSubstr("\n        {\"expert\": 0, \"devices\": [3]},\n"));
  EXPECT_THAT(
      text,
      HasSubstr("\n        {\"expert\": 1, \"devices\": [0, 2], \"weights\": [0.6, 0.4]},\n"));
  EXPECT_THAT(text, HasSubstr("\"topology\": \"2x2\""));
}

TEST(PlanFile, WritesNoBrokenPlan) {
  const TempDir dir;
  Plan plan = small_plan();
  plan.layers[0].experts[0].clear();
  EXPECT_NE(refusal([&] { write_plan(dir / "p.json", plan); }), "accepted");
  EXPECT_FALSE(std::filesystem::exists(dir / "p.json"));
}

// small_plan()'s text with `from` replaced by `to`.
std::string refused_after(const std::string& from, const std::string& to) {
  std::string text = plan_text(small_plan());
  const auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  return refusal([&] { parse_plan(text, "p.json"); });
}

TEST(PlanFile, WritesNoFigureThatCannotBeRead) {
  const TempDir folder;
  const double infinity = std::numeric_limits<double>::infinity();
  const auto refused = [&](auto damage) {
    Plan plan = small_plan();
    damage(plan);
    const std::string message = refusal([&] { write_plan(folder / "p.json", plan); });
    EXPECT_FALSE(std::filesystem::exists(folder / "p.json"));
    return message;
  };
  EXPECT_THAT(refused([&](Plan& p) { p.layers[1].predicted_time.cross_node_s = infinity; }),
              HasSubstr("layer 1: predicted_time_s: got infinity, wanted finite numbers; plan with "
                        "figures of the size that real clusters and steps have"));
  EXPECT_THAT(refused([&](Plan& p) {
                p.memory_curve = {{0, 1, NAN, 1}};
              }),
              HasSubstr("p.json: memory_curve: got NaN"));
  EXPECT_THAT(refused([&](Plan& p) {
                p.layers[0].ratio_curve = {{0.5, infinity, 1}};
              }),
              HasSubstr("layer 0: ratio_curve: got infinity"));
}

TEST(PlanFile, RefusesOtherFormatsAndVersions) {
  EXPECT_THAT(refused_after("gracemoe-plan", "other"),
              HasSubstr("p.json: format: got 'other', wanted 'gracemoe-plan'"));
  EXPECT_THAT(refused_after("\"version\": 1", "\"version\": 2"),
              HasSubstr("plan schema version: got 2, wanted 1; use the newer gracemoe"));
  EXPECT_THAT(refused_after("\"version\": 1", "\"version\": 0"), HasSubstr("got 0, wanted 1"));
  EXPECT_THAT(refused_after("\"version\": 1", "\"version\": \"1\""), HasSubstr("version"));
  EXPECT_THAT(refusal([] { parse_plan("[]", "p.json"); }), HasSubstr("wanted a JSON object"));
  EXPECT_THAT(refusal([] { parse_plan("{}", "p.json"); }), HasSubstr("format: got nothing"));
}

TEST(PlanFile, RefusesBrokenFields) {
  EXPECT_THAT(refused_after("\"num_experts\": 3", "\"num_experts\": 4"),
              HasSubstr("layer 0: got 3 experts, wanted 4"));
  EXPECT_THAT(refused_after("\"num_experts\": 3", "\"num_experts\": 99999999999"),
              HasSubstr("num_experts: got 99999999999"));
  EXPECT_THAT(refused_after("\"top_k\": 2", "\"top_k\": 4"), HasSubstr("top_k: got 4"));
  EXPECT_THAT(refused_after("\"2x2\"", "\"2x\""), HasSubstr("p.json: topology: got '2x'"));
  EXPECT_THAT(refused_after("\"2x2\"", "\"1x3\""),
              HasSubstr("layer 0, expert 0: got device 3, wanted devices 0 to 2"));
  EXPECT_THAT(refused_after("\"layer\": 1", "\"layer\": 0"), HasSubstr("layer 1: got number 0"));
  EXPECT_THAT(refused_after("{\"expert\": 0,", "{\"expert\": 1,"),
              HasSubstr("layer 0: got expert 1 as entry 0"));
  EXPECT_THAT(refused_after("{\"expert\": 0, \"devices\": [3]},", ""),
              HasSubstr("layer 0: got expert 1 as entry 0"));
  EXPECT_THAT(refused_after("\"ratio\": 0.15", "\"ratio\": true"), HasSubstr("ratio"));
  EXPECT_THAT(refused_after("[0.5, 0, 0.25, 0.25]", "[0.5, \"x\"]"), HasSubstr("predicted_load"));
}

TEST(PlanFile, RefusesBrokenInstances) {
  EXPECT_THAT(refused_after("[0, 2]", "[0, 0]"),
              HasSubstr("layer 0, expert 1: got device 0 twice"));
  EXPECT_THAT(refused_after("[0.6, 0.4]", "[0.6, 0]"), HasSubstr("got polling weight 0"));
  EXPECT_THAT(refused_after("[0.6, 0.4]", "[0.6, NaN]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refused_after("[0.6, 0.4]", "[0.6, 1e999]"), HasSubstr("p.json"));
  EXPECT_THAT(refused_after("[0.6, 0.4]", "[0.6]"), HasSubstr("weights: got 1 weights, wanted 2"));
  EXPECT_THAT(refused_after(", \"weights\": [0.6, 0.4]", ""),
              HasSubstr("weights: got nothing, wanted a weight for each device"));
  EXPECT_THAT(refused_after("[3]", "[]"), HasSubstr("layer 0, expert 0: got no device"));
  for (const char* device : {"4", "-1", "4294967299", "18446744073709551615"})
    EXPECT_THAT(refused_after("[3]", std::string("[") + device + "]"),
                HasSubstr("layer 0, expert 0: got device "))
        << device;
  EXPECT_THAT(refused_after("[3]", "[3.5]"), HasSubstr("devices"));
  EXPECT_THAT(refused_after("[3]", "3"), HasSubstr("devices: got 3, wanted a list"));
}

TEST(PlanFile, RefusesEveryTruncation) {
  const std::string whole = plan_text(small_plan());
  for (std::size_t keep = 0; keep + 2 < whole.size(); ++keep)
    ASSERT_NE(refusal([&] { parse_plan(whole.substr(0, keep), "p.json"); }), "accepted") << keep;
}

// Whatever single byte is wrong, a file is read as a valid plan or refused with an Error.
TEST(PlanFile, SurvivesEveryDamagedByte) {
  const std::string whole = plan_text(small_plan());
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(hash_combine(11, at) % 256);
    try {
      validate(parse_plan(text, "p.json"), "p.json");
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInput) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()) / 3);
}

PlanTarget small_target() {
  return {"small", "0123", 3, 2, 2, Topology::grid(2, 2)};
}
std::string misfit(const PlanTarget& target) {
  return refusal([&] { check_plan_fits(small_plan(), target, "p.json"); });
}

TEST(PlanFits, TheRunItWasMadeFor) {
  EXPECT_EQ(misfit(small_target()), "accepted");
  PlanTarget target = small_target();
  target.fingerprint.clear();
  EXPECT_EQ(misfit(target), "accepted");
}

TEST(PlanFits, RefusesAnotherModel) {
  PlanTarget target = small_target();
  target.fingerprint = "4567";
  EXPECT_THAT(misfit(target),
              HasSubstr("p.json: this plan is for another checkpoint: got small, fingerprint 0123, "
                        "wanted small, fingerprint 4567; make a plan"));
  target = small_target();
  target.layers = 3;
  target.model = "big";
  EXPECT_THAT(misfit(target),
              HasSubstr("this plan is for another model: got small with 2 MoE layers of 3 experts, "
                        "top-2, wanted big with 3 MoE layers of 3 experts, top-2"));
  target = small_target();
  target.num_experts = 4;
  EXPECT_THAT(misfit(target), HasSubstr("another model"));
  target = small_target();
  target.top_k = 1;
  EXPECT_THAT(misfit(target), HasSubstr("another model"));
}

TEST(Checkpoint, IsAnotherWhereBothFingerprintsAreToldAndDiffer) {
  const auto warning = [](const std::string& fingerprint) {
    return checkpoint_warning(small_plan(), "p.json", "t.st", "big", fingerprint);
  };
  EXPECT_EQ(warning("4567"),
            "warning: p.json is a plan for small (fingerprint 0123), t.st is of big (fingerprint "
            "4567): figures of the two together say nothing about either checkpoint");
  EXPECT_EQ(warning("0123"), "");
  EXPECT_EQ(warning(""), "");
  EXPECT_THAT(checkpoint_text("", "1"), HasSubstr("an unnamed model"));
}

TEST(PlanFits, RefusesAnotherCluster) {
  PlanTarget target = small_target();
  target.topology = Topology::of({2, 1});
  EXPECT_THAT(misfit(target),
              HasSubstr("p.json: plan is for 4 devices (2x2), this run has 3 ranks; "
                        "start 4 ranks, or make a plan for 2,1"));
  target.topology = Topology::grid(2, 3);
  EXPECT_THAT(misfit(target), HasSubstr("this run has 6 ranks"));
  target.topology = Topology::grid(1, 4);
  EXPECT_THAT(misfit(target),
              HasSubstr("plan is for nodes of 2x2 devices, this run's nodes are 1x4"));
}

TEST(ContiguousPlan, EqualShares) {
  const Plan plan = contiguous_plan({"m", "f", 7, 2, 3, Topology::grid(1, 3)});
  EXPECT_EQ(invalid(plan), "accepted");
  EXPECT_EQ(plan.layers.size(), 3U);
  EXPECT_THAT(plan.experts_on(2, 0), ElementsAre(0, 1));
  EXPECT_THAT(plan.experts_on(2, 1), ElementsAre(2, 3));
  EXPECT_THAT(plan.experts_on(2, 2), ElementsAre(4, 5, 6));
}

}  // namespace
}  // namespace gracemoe
