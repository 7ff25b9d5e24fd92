// gracemoe evaluate as its users meet it, on traces of the shipped model and, where it is there, of
// a large one.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;
using testing::Not;

const std::string kSource = GRACEMOE_SOURCE_DIR;

ProcessResult gracemoe(std::vector<std::string> args) {
  args.insert(args.begin(), GRACEMOE_PROGRAM);
  return run_process(args);
}

// Traces of two texts through the shipped model, and a plan made on each.
class EvaluateCommand : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir;
    for (const std::string text : {"prose", "code"}) {
      const auto traced = gracemoe(
          {"profile", "--quiet", "--model", kSource + "/models/gracemoe-demo", "--text",
           kSource + "/data/text/" + text + ".txt", "--max-tokens", "2048", "--out", trace(text)});
      ASSERT_EQ(traced.exit_code, 0) << traced.err;
      const auto planned = gracemoe({"plan", "--trace", trace(text), "--topology", "2x2",
                                     "--holdout", "0", "--out", plan(text)});
      ASSERT_EQ(planned.exit_code, 0) << planned.err;
    }
  }
  static void TearDownTestSuite() {
    delete folder_;
    folder_ = nullptr;
  }
  static std::string trace(const std::string& text) {
    return *folder_ / (text + ".trace.safetensors");
  }
  static std::string plan(const std::string& text) { return *folder_ / (text + ".plan.json"); }
  static std::filesystem::path file(const std::string& name) { return *folder_ / name; }

 private:
  static inline TempDir* folder_ = nullptr;
};

TEST_F(EvaluateCommand, PlansSideBySideOnSeveralTraces) {
  const auto result = gracemoe({"evaluate", "--plan", plan("prose"), "--plan", plan("code"),
                                "--trace", trace("prose"), trace("code"), "--per-layer"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("prose.trace.safetensors: 2,048 tokens"));
  EXPECT_THAT(result.out, HasSubstr("rows a token sends in dispatch"));
  EXPECT_THAT(result.out, HasSubstr("\n3      prose.plan.json"));
  EXPECT_THAT(result.out, HasSubstr("What a plan loses"));
  EXPECT_THAT(result.out, Not(HasSubstr("\033")));  // no terminal, no colour
}

// Each text is served best by the plan that was made on it: else plans would not matter.
TEST_F(EvaluateCommand, APlanLosesOnTextThatItWasNotMadeFor) {
  const auto result =
      gracemoe({"evaluate", "--plan", plan("prose"), "--plan", plan("code"), "--trace",
                trace("prose"), "--trace", trace("code"), "--json", file("e.json")});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("What a plan loses"));
  const Json results = read_json(file("e.json"))["results"];
  ASSERT_EQ(results.size(), 4U);
  for (const auto& r : results) {
    const bool own =
        r["plan"].get<std::string>().substr(0, 4) == r["trace"].get<std::string>().substr(0, 4);
    if (own)
      EXPECT_EQ(r["loss_against_best"].get<double>(), 0) << r["plan"];
    else
      EXPECT_GT(r["loss_against_best"].get<double>(), 0.01) << r["plan"];
  }
}

TEST_F(EvaluateCommand, JsonOnStandardOutputStandsAlone) {
  for (const std::vector<std::string>& form :
       {std::vector<std::string>{"--json"}, std::vector<std::string>{"--json", "-"}}) {
    std::vector<std::string> args{"evaluate", "--plan", plan("prose"), "--trace", trace("prose")};
    args.insert(args.end(), form.begin(), form.end());
    const auto result = gracemoe(args);
    ASSERT_EQ(result.exit_code, 0) << result.err;
    const Json json = parse_json(result.out, "standard output");
    EXPECT_EQ(json["format"], "gracemoe-evaluation");
    EXPECT_GT(json["nodes_visited_per_token"].get<double>(), 0.3);
    EXPECT_GE(json["load_max_over_mean"].get<double>(), 1);
    EXPECT_EQ(json["results"][0]["layers"].size(), 4U);
  }
}

TEST_F(EvaluateCommand, ThreadsAndRoutingAreWhatTheyShouldBe) {
  const auto json = [&](const std::string& routing, const std::string& threads) {
    return gracemoe({"evaluate", "--plan", plan("prose"), "--trace", trace("code"), "--routing",
                     routing, "--threads", threads, "--json"})
        .out;
  };
  EXPECT_EQ(json("tar", "1"), json("tar", "3"));
  const auto visits = [&](const std::string& routing) {
    return parse_json(json(routing, "0"), routing)["nodes_visited_per_token"].get<double>();
  };
  EXPECT_LT(visits("tar"), visits("primary"));
}

TEST_F(EvaluateCommand, RefusesWhatDoesNotFit) {
  const auto refused = [](const std::vector<std::string>& args, const std::string& message) {
    const auto result = gracemoe(args);
    EXPECT_EQ(result.exit_code, 2) << result.err;
    EXPECT_THAT(result.err, HasSubstr(message));
    EXPECT_THAT(result.out, Not(HasSubstr("nodes visited")));
  };
  Json other = read_json(plan("prose"));
  other["top_k"] = 7;
  write_file(file("other.json"), other.dump());
  refused({"evaluate", "--plan", file("other.json"), "--trace", trace("prose")},
          "4 MoE layers of 64 experts, top-7, wanted 4 MoE layers of 64 experts, top-8");
  refused({"evaluate", "--plan", plan("prose"), "--trace", plan("prose")}, "prose.plan.json");
  refused({"evaluate", "--plan", trace("prose"), "--trace", trace("prose")},
          "prose.trace.safetensors");
  refused({"evaluate", "--plan", plan("prose"), "--trace", trace("prose"), "--routing", "best"},
          "best");
  refused({"evaluate", "--plan", plan("prose"), "--trace", trace("prose"), "--json",
           file("no/such/folder.json")},
          "no/such");
  refused({"evaluate", "--plan", plan("prose")}, "--trace");
}

TEST_F(EvaluateCommand, ALargeModelsTrace) {
  const std::string large =
      std::string(GRACEMOE_SHARED_DIR) + "/traces/gpt-oss-20b.trace.safetensors";
  if (!std::filesystem::exists(large)) GTEST_SKIP() << "no trace of a large model here";
  for (const std::string preset : {"contiguous", "grace"}) {
    const auto planned = gracemoe({"plan", "--trace", large, "--topology", "2x4", "--preset",
                                   preset, "--holdout", "0", "--out", file(preset)});
    ASSERT_EQ(planned.exit_code, 0) << planned.err;
  }
  const auto result = gracemoe({"evaluate", "--plan", file("contiguous"), "--plan", file("grace"),
                                "--trace", large, "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json results = parse_json(result.out, "standard output")["results"];
  const auto visits = [&](std::size_t p) {
    return results[p]["nodes_visited_per_token"].get<double>();
  };
  EXPECT_LT(visits(1), 0.8 * visits(0));
}

}  // namespace
}  // namespace gracemoe
