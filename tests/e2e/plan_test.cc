// gracemoe plan with the presets beyond the published method, as users meet it: a trace of the
// shipped model.
#include <fmt/core.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "base/files.h"
#include "base/json.h"
#include "plan/plan.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "trace/routing_trace.h"

namespace gracemoe {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const std::string kModel = std::string(GRACEMOE_SOURCE_DIR) + "/models/gracemoe-demo";

ProcessResult gracemoe(std::vector<std::string> args) {
  args.insert(args.begin(), GRACEMOE_PROGRAM);
  return run_process(args);
}

class PlanCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir;
    for (const std::string text : {"prose", "code"}) {
      const auto traced =
          gracemoe({"profile", "--quiet", "--model", kModel, "--text",
                    std::string(GRACEMOE_SOURCE_DIR) + "/data/text/" + text + ".txt",
                    "--max-tokens", "3072", "--out", trace(text)});
      ASSERT_EQ(traced.exit_code, 0) << traced.err;
    }
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string trace(const std::string& text) { return file(text + ".safetensors"); }
  static std::string file(const std::string& name) { return *folder_ / name; }
  static ProcessResult plan(const std::string& out, std::vector<std::string> more) {
    std::vector<std::string> args{"plan", "--topology", "2x2", "--out", file(out), "--quiet"};
    args.insert(args.end(), more.begin(), more.end());
    return gracemoe(args);
  }
  static Json judged(const std::string& plan_file, const std::string& text) {
    const auto result =
        gracemoe({"evaluate", "--plan", file(plan_file), "--trace", trace(text), "--json", "-"});
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return parse_json(result.out, "evaluation");
  }
  // Nodes visited per token and max/mean in the line of a plan's expectation.
  static std::pair<double, double> expected(const std::string& out, const std::string& preset) {
    const std::size_t line = out.find("\n" + preset + " ");
    EXPECT_NE(line, std::string::npos) << out;
    std::istringstream row(out.substr(line + 1, out.find('\n', line + 1) - line));
    std::string name, crossing;
    double nodes = 0, devices = 0, load = 0;
    row >> name >> nodes >> crossing >> devices >> load;
    EXPECT_GT(load, 0) << row.str();
    return {nodes, load};
  }

 private:
  static inline TempDir* folder_ = nullptr;
};

TEST_F(PlanCommand, EveryPresetSaysWhatItIs) {
  for (const std::string preset :
       {"contiguous", "eplb", "c2r", "occult", "grace", "balance", "grace+"}) {
    const auto result = plan("p.json", {"--trace", trace("prose"), "--preset", preset});
    ASSERT_EQ(result.exit_code, 0) << preset << result.err;
    EXPECT_THAT(result.out, HasSubstr("placement ")) << preset;
    const Plan made = read_plan(file("p.json"));
    EXPECT_EQ(made.preset, preset);
    EXPECT_FALSE(made.settings.empty());
    EXPECT_FALSE(made.time_basis.empty());
    EXPECT_GT(made.layers[0].predicted_time.total_s(), 0);
  }
}

TEST_F(PlanCommand, GracePlusVisitsFewerNodesThanGraceWithItsMemory) {
  ASSERT_EQ(plan("g.json", {"--trace", trace("prose"), "--holdout", "0"}).exit_code, 0);
  const Plan grace = read_plan(file("g.json"));
  const double budget =
      1 + grace.copies() / (static_cast<double>(grace.num_experts) * grace.layers.size());
  const Json of_grace = judged("g.json", "prose");
  const auto result =
      plan("gp.json", {"--trace", trace("prose"), "--holdout", "0", "--preset", "grace+",
                       "--memory-budget", std::to_string(budget), "--balance",
                       std::to_string(of_grace["load_max_over_mean"].get<double>())});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("what memory buys"));
  EXPECT_LE(read_plan(file("gp.json")).copies(), grace.copies());
  EXPECT_LT(judged("gp.json", "prose")["nodes_visited_per_token"].get<double>(),
            of_grace["nodes_visited_per_token"].get<double>());
}

// Planned on every other sequence of one text; judged on the rest, and on text of another kind.
TEST_F(PlanCommand, GracePlusIsAheadOnTextThatItHasNotSeen) {
  const std::vector<std::string> half{"--trace", trace("prose"), "--holdout", "2"};
  const auto of_grace = plan("hg.json", half);
  ASSERT_EQ(of_grace.exit_code, 0) << of_grace.err;
  const Plan grace = read_plan(file("hg.json"));
  auto how = half;
  how.insert(how.end(),
             {"--preset", "grace+", "--effort", "0.3", "--memory-budget",
              std::to_string(1 + grace.copies() / (static_cast<double>(grace.num_experts) *
                                                   static_cast<double>(grace.layers.size())))});
  const auto of_ours = plan("hp.json", how);
  ASSERT_EQ(of_ours.exit_code, 0) << of_ours.err;
  EXPECT_LE(read_plan(file("hp.json")).copies(), grace.copies());

  const auto [grace_nodes, grace_load] = expected(of_grace.out, "grace");
  const auto [our_nodes, our_load] = expected(of_ours.out, "grace+");
  EXPECT_LT(our_nodes, 0.95 * grace_nodes);
  EXPECT_LE(our_load, grace_load);
  const Json grace_code = judged("hg.json", "code"), our_code = judged("hp.json", "code");
  EXPECT_LT(our_code["nodes_visited_per_token"].get<double>(),
            grace_code["nodes_visited_per_token"].get<double>());
  EXPECT_LE(our_code["load_max_over_mean"].get<double>(),
            grace_code["load_max_over_mean"].get<double>());
}

TEST_F(PlanCommand, GraceTellsWhatItsGroupSizesWereChosenFrom) {
  const auto brief = plan("k.json", {"--trace", trace("prose")});
  ASSERT_EQ(brief.exit_code, 0) << brief.err;
  EXPECT_THAT(brief.out, HasSubstr("group sizes: r at the knee of (S, U) is "));
  EXPECT_THAT(brief.out, Not(HasSubstr("<- knee")));
  const auto full = plan("k.json", {"--trace", trace("prose"), "--curve"});
  ASSERT_EQ(full.exit_code, 0) << full.err;
  const Plan made = read_plan(file("k.json"));
  std::vector<std::string> knees;
  std::istringstream lines(full.out);
  for (std::string line; std::getline(lines, line);)
    if (line.ends_with("<- knee")) knees.push_back(line);
  ASSERT_EQ(knees.size(), made.layers.size());
  for (std::size_t l = 0; l < knees.size(); ++l)
    for (const RatioPoint& p : made.layers[l].ratio_curve) {
      if (p.ratio != made.layers[l].ratio) continue;
      EXPECT_THAT(knees[l],
                  HasSubstr(fmt::format("  {:.2f}  {:.1f}%  ", p.deviation, 100 * p.utilisation)));
    }
}

TEST_F(PlanCommand, WhatMemoryBuysIsTheCurveThatThePlanCarries) {
  const auto result =
      plan("m.json", {"--trace", trace("prose"), "--preset", "grace+", "--effort", "0.1"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Plan made = read_plan(file("m.json"));
  ASSERT_GT(made.memory_curve.size(), 2U);
  EXPECT_EQ(made.memory_curve.front().extra_memory, 0);
  EXPECT_EQ(made.memory_curve.back().extra_memory, 1);
  for (const MemoryPoint& p : made.memory_curve)
    EXPECT_THAT(result.out, ContainsRegex(fmt::format(" {:.1f}% +{:.3f} +{:.3f} +{:.3f} ms",
                                                      100 * p.extra_memory, p.nodes_visited,
                                                      p.load_max_over_mean, 1e3 * p.layer_time_s)));
  EXPECT_THAT(result.out, ContainsRegex(" 25\\.0% [^\n]* <- this plan\n"));
}

TEST_F(PlanCommand, APlanThatIsGoodIsLeftAsItIs) {
  const std::vector<std::string> how{"--trace",         trace("prose"), "--preset", "grace+",
                                     "--memory-budget", "1.5",          "--effort", "1"};
  ASSERT_EQ(plan("old.json", how).exit_code, 0);
  std::vector<std::string> again = how;
  again.insert(again.end(), {"--from", file("old.json")});
  auto result = plan("same.json", again);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("the old plan is kept"));
  EXPECT_EQ(read_file(file("same.json")), read_file(file("old.json")));

  // On other text moving pays, if the plan serves long enough; for three steps it does not.
  again[1] = trace("code");
  again.insert(again.end(), {"--steps", "3"});
  result = plan("short.json", again);
  EXPECT_THAT(result.out, HasSubstr("the old plan is kept"));
  again.back() = "10000000";
  result = plan("long.json", again);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(" experts move, "));
  EXPECT_THAT(result.out, HasSubstr("  layer 0: expert "));
  EXPECT_LT(judged("long.json", "code")["nodes_visited_per_token"].get<double>(),
            judged("old.json", "code")["nodes_visited_per_token"].get<double>());
}

TEST_F(PlanCommand, SameSlotsAreTheSameEverywhere) {
  ASSERT_EQ(
      plan("s.json", {"--trace", trace("prose"), "--preset", "grace+", "--same-slots"}).exit_code,
      0);
  const Plan made = read_plan(file("s.json"));
  const int slots = made.num_experts * 5 / 4 / made.topology.devices();
  for (int layer = 0; layer < static_cast<int>(made.layers.size()); ++layer)
    for (int device = 0; device < made.topology.devices(); ++device)
      EXPECT_EQ(made.experts_on(layer, device).size(), static_cast<std::size_t>(slots));
}

// One expert of the shipped model: three bf16 matrices of its hidden_size and intermediate size.
double expert_gb() {
  const Json config = parse_json(read_file(kModel + "/config.json"), "config");
  return 3 * 2e-9 * config["hidden_size"].get<double>() * config["intermediate_size"].get<double>();
}

std::vector<int> held_by_devices(const Plan& plan) {
  std::vector<int> held;
  for (int device = 0; device < plan.topology.devices(); ++device) {
    held.push_back(0);
    for (int layer = 0; layer < static_cast<int>(plan.layers.size()); ++layer)
      held.back() += static_cast<int>(plan.experts_on(layer, device).size());
  }
  return held;
}

TEST_F(PlanCommand, ABudgetInBytesIsTheSameBudgetInCopies) {
  const std::vector<std::string> how{"--trace",  trace("prose"), "--preset", "grace+",
                                     "--effort", "0.1",          "--model",  kModel};
  auto in_copies = how, in_bytes = how;
  in_copies.insert(in_copies.end(), {"--memory-budget", "1.25"});
  ASSERT_EQ(plan("copies.json", in_copies).exit_code, 0);
  const Plan copies = read_plan(file("copies.json"));
  const auto instances = static_cast<double>(copies.num_experts) *
                         static_cast<double>(copies.layers.size()) * 1.25 / 4;
  // Half an expert more holds none.
  in_bytes.insert(in_bytes.end(),
                  {"--device-memory", fmt::format("{}", (instances + 0.5) * expert_gb())});
  const auto result = plan("bytes.json", in_bytes);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  Plan bytes = read_plan(file("bytes.json"));
  EXPECT_THAT(bytes.settings, ContainsRegex("; devices of [0-9.]+ GB for experts of "));
  bytes.settings = copies.settings;
  EXPECT_EQ(bytes, copies);
  for (const int held : held_by_devices(copies)) EXPECT_LE(held, instances);
  EXPECT_THAT(result.out, HasSubstr("device  experts"));
  EXPECT_THAT(result.out, Not(HasSubstr("does not fit")));
}

TEST_F(PlanCommand, UnequalDevicesHoldWhatTheirMemoryHolds) {
  const int limits[] = {30, 90, 60, 160};
  std::string devices[4];
  for (int d = 0; d < 4; ++d)
    devices[d] = fmt::format(R"({{"memory_gb": {}}})", (limits[d] + 0.5) * expert_gb());
  write_file(file("uneven.json"),
             fmt::format(R"({{"format": "gracemoe-cluster", "version": 1, "nodes": )"
                         R"([{{"devices": [{}, {}]}}, {{"devices": [{}, {}]}}]}})",
                         devices[0], devices[1], devices[2], devices[3]));
  const auto planned = [&](const std::string& out, const std::string& preset,
                           std::vector<std::string> more) {
    std::vector<std::string> args{
        "plan",     "--trace", trace("prose"), "--topology", file("uneven.json"),
        "--preset", preset,    "--model",      kModel,       "--quiet",
        "--out",    file(out)};
    args.insert(args.end(), more.begin(), more.end());
    return gracemoe(args);
  };
  const auto result =
      planned("uneven_plan.json", "grace+", {"--effort", "0.1", "--memory-budget", "1.3"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::vector<int> held = held_by_devices(read_plan(file("uneven_plan.json")));
  for (int d = 0; d < 4; ++d) {
    EXPECT_LE(held[static_cast<std::size_t>(d)], limits[d]) << d;
    EXPECT_THAT(result.out, ContainsRegex(fmt::format("\n +{} +{} +[0-9.]+ [MG]B +[0-9.]+ [MG]B\n",
                                                      d, held[static_cast<std::size_t>(d)])));
  }
  EXPECT_GT(read_plan(file("uneven_plan.json")).copies(), 0);
  // What does not look at memory is refused where it does not fit.
  const auto even = planned("even_plan.json", "contiguous", {});
  EXPECT_EQ(even.exit_code, 2) << even.out;
  EXPECT_THAT(even.err, HasSubstr("preset contiguous: device 0: got 64 experts over all layers"));
  EXPECT_FALSE(std::filesystem::exists(file("even_plan.json")));
  // The file says what memory there is; without the size of an expert that means nothing.
  const std::vector<std::string> args{
      "plan",     "--trace", trace("prose"), "--topology",   file("uneven.json"),
      "--preset", "grace+",  "--out",        file("no.json")};
  auto twice = args, shapeless = args;
  twice.insert(twice.end(), {"--device-memory", "1", "--model", kModel});
  EXPECT_THAT(gracemoe(twice).err,
              ContainsRegex("memory of the devices: got --device-memory, and memory_gb in "
                            ".*uneven.json, wanted one of the two"));
  EXPECT_THAT(
      gracemoe(shapeless).err,
      ContainsRegex("memory_gb in .*uneven.json: got no size of an expert, wanted --model"));
  EXPECT_FALSE(std::filesystem::exists(file("no.json")));
}

TEST_F(PlanCommand, TellsTheWorkOfUnequalDevicesOverTheirSpeeds) {
  write_file(file("slow.json"), R"({"format": "gracemoe-cluster", "version": 1, "nodes": )"
                                R"([{"devices": [{"speed": 0.25}, {}]}, {"devices": 2}]})");
  const auto result =
      gracemoe({"plan", "--trace", trace("prose"), "--topology", file("slow.json"), "--preset",
                "balance", "--holdout", "0", "--out", file("slow_plan.json")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out,
              ContainsRegex("their work, load over speed, max/mean: contiguous [2-4]\\.[0-9]+, "
                            "balance 1\\.0[0-9]+\n"));
  std::vector<std::string> how{"evaluate",     "--plan",    file("slow_plan.json"), "--trace",
                               trace("prose"), "--cluster", file("slow.json"),      "--json"};
  const Json judged = parse_json(gracemoe(how).out, "evaluation")["results"][0];
  EXPECT_LT(judged["work_max_over_mean"].get<double>(), 1.1);
  EXPECT_GT(judged["load_max_over_mean"].get<double>(), 1.15);  // the slow one does less
  write_file(file("other.json"),
             R"({"format": "gracemoe-cluster", "version": 1, "nodes": [{"devices": 2}]})");
  how[6] = file("other.json");
  const auto refused = gracemoe(how);
  EXPECT_EQ(refused.exit_code, 2);
  EXPECT_THAT(refused.err, ContainsRegex("got a plan for 2x2, wanted 1x2, as in .*other.json"));
}

TEST_F(PlanCommand, SaysWhatABudgetOfSlotsIsRoundedTo) {
  const auto result = plan(
      "rounded.json", {"--trace", trace("prose"), "--preset", "eplb", "--memory-budget", "1.26"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("memory budget 1.26 of 64 experts on 4 devices is 1.25: 20 "
                                    "slots on every device of a layer, the next number takes a "
                                    "budget of 1.3125"));
}

TEST_F(PlanCommand, ATraceWithoutTokensIsNotCalledStatistics) {
  RoutingTrace empty;
  empty.num_experts = 8;
  empty.top_k = 2;
  empty.layers = 2;
  write_trace(file("empty.st"), empty);
  for (const std::string preset : {"grace", "grace+"}) {
    const auto result = plan("empty.json", {"--trace", file("empty.st"), "--preset", preset});
    ASSERT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("the trace has no tokens to plan by"));
    EXPECT_THAT(result.out, Not(HasSubstr("statistics")));
    if (preset == "grace+") {
      EXPECT_THAT(result.out, Not(HasSubstr("group sizes")));
    }
  }
}

// Experts used in a step are what is bounded then, so that they are what is told.
TEST_F(PlanCommand, TellsTheBoundThatIsMissed) {
  std::vector<std::string> how{"--trace", trace("prose"), "--preset", "grace+",          "--effort",
                               "0.01",    "--balance",    "1.000001", "--memory-budget", "1"};
  auto result = plan("missed.json", how);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string missed =
      "max/mean is 1\\.[0-9]+ on the text planned on: the bound 1\\.000 is missed\n";
  EXPECT_THAT(result.out, ContainsRegex(missed));
  how.insert(how.end(), {"--balance-on", "experts", "--tokens-per-device", "2"});
  result = plan("missed.json", how);
  EXPECT_THAT(result.out, ContainsRegex("\nexperts that a step of 8 tokens uses, max/mean: "
                                        "contiguous 1\\.[0-9]+, grace\\+ 1\\.[0-9]+\n"));
  EXPECT_THAT(result.out, ContainsRegex(missed));
}

TEST_F(PlanCommand, RefusesWhatDoesNotGoTogether) {
  const auto refused = [&](std::vector<std::string> args) {
    args.insert(args.end(), {"--trace", trace("prose")});
    const auto result = plan("no.json", args);
    EXPECT_EQ(result.exit_code, 2) << result.out;
    EXPECT_FALSE(std::filesystem::exists(file("no.json")));
    return result.err;
  };
  EXPECT_THAT(refused({"--preset", "best"}), HasSubstr("balance or grace+"));
  EXPECT_THAT(refused({"--preset", "occult", "--memory-budget", "1.5"}),
              HasSubstr("--memory-budget: got preset occult, wanted grace+, eplb or balance"));
  EXPECT_THAT(refused({"--preset", "grace+", "--curve"}),
              HasSubstr("--curve: got preset grace+, wanted the preset grace with --ratio knee"));
  EXPECT_THAT(refused({"--ratio", "uniform", "--curve"}),
              HasSubstr("--curve: got --ratio uniform"));
  EXPECT_THAT(refused({"--preset", "grace", "--effort", "2"}), HasSubstr("the preset grace+"));
  EXPECT_THAT(refused({"--preset", "grace+", "--replication", "none"}),
              HasSubstr("which chooses its own copies"));
  EXPECT_THAT(refused({"--preset", "grace", "--expert-groups", "2"}),
              HasSubstr("--expert-groups: got preset grace, wanted the preset eplb or balance"));
  EXPECT_THAT(refused({"--preset", "grace+", "--memory-budget", "0.5"}), HasSubstr("0.5"));
  EXPECT_THAT(refused({"--preset", "eplb", "--device-memory", "1", "--model", kModel}),
              HasSubstr("--device-memory: got preset eplb, wanted the preset grace+"));
  EXPECT_THAT(refused({"--preset", "grace+", "--device-memory", "1"}),
              HasSubstr("--hidden N and --expert-width N"));
  EXPECT_THAT(refused({"--preset", "grace+", "--device-memory", "0.0001", "--model", kModel}),
              HasSubstr("memory of the devices"));
  EXPECT_THAT(refused({"--preset", "grace+", "--hidden", "64"}), HasSubstr("shape of an expert"));
  EXPECT_THAT(refused({"--preset", "grace+", "--steps", "5"}),
              HasSubstr("--steps: got no --from, wanted a plan to start from"));
  for (const char* option : {"--tokens-per-device", "--time-limit", "--steps", "--device-memory"})
    EXPECT_THAT(refused({"--preset", "grace+", option, "1e308"}),
                HasSubstr("got '1e308', wanted a number from"));
}

}  // namespace
}  // namespace gracemoe
