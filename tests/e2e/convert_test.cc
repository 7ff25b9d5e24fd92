// gracemoe convert on every file of tests/data/interop, there and back, and on the same files of
// the systems' own making where they are at hand.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "plan/plan.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "trace/statistics.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

using Args = std::vector<std::string>;

ProcessResult run_convert(const Args& more) {
  Args args{GRACEMOE_PROGRAM, "convert"};
  args.insert(args.end(), more.begin(), more.end());
  return run_process(args);
}

void expect_success(const ProcessResult& result, const std::string& said) {
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(said));
}
void expect_refused(const ProcessResult& result, const std::string& said) {
  EXPECT_EQ(result.exit_code, 2) << result.out;
  EXPECT_THAT(result.err, HasSubstr(said));
}

struct PlacementFile {
  const char* name;
  const char* format;
  const char* topology;
};

class CliConvert : public testing::Test {
 protected:
  static std::string data(const std::string& name) {
    return std::string(GRACEMOE_SOURCE_DIR) + "/tests/data/interop/" + name;
  }
  std::string out(const std::string& name) const { return folder_ / name; }

  // To a plan, back, and to a plan again: both plans have the same instances.
  void there_and_back(const std::string& file, const std::string& format,
                      const std::string& topology, const Args& more = {}) const {
    const auto run = [&](Args args) {
      args.insert(args.end(), more.begin(), more.end());
      return run_convert(args);
    };
    expect_success(
        run({"--in", file, "--out", out("a.json"), "--topology", topology, "--top-k", "2"}),
        "(" + format + ")");
    expect_success(run({"--in", out("a.json"), "--out", out("b"), "--to", format}), "wrote");
    expect_success(run({"--in", out("b"), "--out", out("c.json"), "--from", format, "--topology",
                        topology, "--top-k", "2"}),
                   "wrote");
    const Plan a = read_plan(out("a.json"));
    const Plan c = read_plan(out("c.json"));
    ASSERT_EQ(a.layers.size(), c.layers.size()) << file;
    for (std::size_t l = 0; l < a.layers.size(); ++l)
      EXPECT_EQ(a.layers[l].experts, c.layers[l].experts) << file;
  }

  TempDir folder_;
};

TEST_F(CliConvert, EveryPlacementThereAndBack) {
  for (const auto& [name, format, topology] :
       {PlacementFile{"sglang_placement.json", "sglang", "5x1"},
        PlacementFile{"vllm_mapping.jsonl", "vllm-mapping", "1x5"},
        PlacementFile{"vllm_ascend.json", "vllm-ascend", "1x5"}})
    there_and_back(data(name), format, topology);
  there_and_back(data("trtllm.yaml"), "trtllm", "3,2");
  there_and_back(data("vllm_expert_map.json"), "vllm-expert-map", "1x5");
  there_and_back(data("vllm_expert_ranks.json"), "vllm-expert-ranks", "2x2", {"--layers", "2"});
}

TEST_F(CliConvert, EveryStatisticsFileIsRead) {
  for (const char* name : {"sglang_counts.json", "sglang_stat.pt", "sglang_pass.pt", "trtllm_stats",
                           "vllm_loads.jsonl"}) {
    expect_success(run_convert({"--in", data(name), "--out", out("stats"), "--top-k", "2"}),
                   "8 experts");
    const RoutingStatistics statistics = read_statistics(out("stats"));
    expect_success(run_convert({"--in", out("stats"), "--out", out("counts.json"), "--to",
                                "sglang-counts", "--first-dense", "1"}),
                   "layers");
    const Json rows = read_json(out("counts.json"))["logical_count"];
    ASSERT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[1].get<std::vector<double>>(),
              std::vector<double>(statistics.load.begin(), statistics.load.begin() + 8));
  }
  expect_success(run_convert({"--in", data("memra.txt"), "--out", out("trace")}), "4 tokens");
  expect_success(run_convert({"--in", data("routed_experts_0.bin"), "--from", "routed-experts",
                              "--layers", "2", "--top-k", "2", "--out", out("trace")}),
                 "5 tokens");
  expect_success(run_convert({"--in", data("sglang_token_rank0.pt"), "--in",
                              data("sglang_token_rank1.pt"), "--out", out("trace")}),
                 "13 tokens in 3 sequences");
}

TEST_F(CliConvert, AnImportedTraceAndStatisticsMakePlans) {
  ASSERT_EQ(run_convert({"--in", data("sglang_token_rank0.pt"), "--out", out("trace")}).exit_code,
            0);
  const ProcessResult plan = run_process({GRACEMOE_PROGRAM, "plan", "--trace", out("trace"),
                                          "--topology", "2x2", "--out", out("plan.json")});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  expect_success(
      run_convert({"--in", out("plan.json"), "--to", "sglang", "--first-dense", "1", "--trace",
                   out("trace"), "--expert-bytes", "1000", "--out", out("sglang.json")}),
      "written as the model's layers 1-2 of 3");
}

TEST_F(CliConvert, TheModelsFolderSaysWhatTheFileDoesNot) {
  const std::string model = std::string(GRACEMOE_SOURCE_DIR) + "/tests/data/olmoe_tiny";
  const Json config = read_json(model + "/config.json");
  std::vector<int> ranks(config["num_experts"].get<std::size_t>());
  for (std::size_t e = 0; e < ranks.size(); ++e) ranks[e] = static_cast<int>(e % 2);
  write_file(out("ranks.json"), Json{{"expert_to_ep_rank", ranks}}.dump());
  expect_success(run_convert({"--in", out("ranks.json"), "--model", model, "--out", out("p.json")}),
                 "wrote");
  const Plan plan = read_plan(out("p.json"));
  EXPECT_EQ(plan.top_k, config["num_experts_per_tok"].get<int>());
  EXPECT_EQ(plan.layers.size(), config["num_hidden_layers"].get<std::size_t>());
  EXPECT_EQ(plan.model, "olmoe_tiny");
  EXPECT_EQ(plan.fingerprint.size(), 16U);
}

TEST_F(CliConvert, SaysWhatIsWrongAndWritesNothing) {
  expect_refused(run_convert({"--in", data("nothing.json"), "--out", out("x")}), "nothing.json");
  expect_refused(run_convert({"--in", data("make.py"), "--out", out("x")}), "name it with --from");
  expect_refused(run_convert({"--in", data("trtllm.yaml"), "--out", out("x"), "--to", "nonsense"}),
                 "got 'nonsense', wanted one of plan,");
  expect_refused(run_convert({"--in", data("trtllm.yaml"), "--out", out("x"), "--topology", "2x2",
                              "--top-k", "2"}),
                 "got 10 slots, wanted a multiple of 4");
  expect_refused(run_convert({"--in", data("trtllm.yaml"), "--out", out("x"), "--nodes", "2"}),
                 "half a size");
  expect_refused(run_convert({"--in", data("trtllm.yaml"), "--out", out("x"), "--to", "sglang",
                              "--moe-layers", "5-3"}),
                 "such as 3-60 or 1,3,5-7");
  expect_refused(run_convert({"--in", data("trtllm.yaml"), "--from", "sglang", "--out", out("x")}),
                 "not valid JSON");
  const std::string pt = read_file(data("sglang_stat.pt"));
  write_file(out("cut.pt"), pt.substr(0, pt.size() / 2));
  expect_refused(run_convert({"--in", out("cut.pt"), "--out", out("x")}), "zip archive");
  EXPECT_FALSE(std::filesystem::exists(out("x")));
  EXPECT_EQ(run_convert({"--in", data("trtllm.yaml")}).exit_code, 2);
  EXPECT_THAT(run_convert({"--help"}).out, HasSubstr("sglang-recorder"));
}

// Files made by the systems' own writers (PyTorch among them), where they are at hand.
TEST_F(CliConvert, FilesOfOtherWriters) {
  const std::string folder = std::string(GRACEMOE_SHARED_DIR) + "/fixtures/interop/";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << folder << " is not here";
  there_and_back(folder + "sglang_init_p2l.json", "sglang", "2x5");
  there_and_back(folder + "vllm_pr41141_mapping.jsonl", "vllm-mapping", "2x5");
  there_and_back(folder + "vllm_pr49572_initial_expert_map.json", "vllm-expert-map", "2x5");
  there_and_back(folder + "trtllm_moe_load_balancer.yaml", "trtllm", "2x2");
  there_and_back(folder + "vllm_ascend_expert_map.json", "vllm-ascend", "1x2");
  there_and_back(folder + "vllm_issue34297_expert_placement.json", "vllm-expert-ranks", "2x2",
                 {"--layers", "2"});
  for (const char* name : {"sglang_init_logical_count.json", "sglang_stat.pt",
                           "trtllm_expert_statistic", "vllm_pr41141_stats.jsonl"})
    expect_success(run_convert({"--in", folder + name, "--out", out("stats"), "--top-k", "2"}),
                   "2 MoE layers, 8 experts");
  expect_success(run_convert({"--in", folder + "sglang_stat.pt", "--to", "sglang-counts", "--out",
                              out("counts.json")}),
                 "1278 choices");
  EXPECT_EQ(read_json(out("counts.json")), read_json(folder + "sglang_init_logical_count.json"));
  expect_success(run_convert({"--in", folder + "sglang_per_token_rank0.pt", "--out", out("trace")}),
                 "12 tokens in 2 sequences");
  expect_success(
      run_convert({"--in", folder + "memra_trace.txt", "--to", "stats", "--out", out("stats")}),
      "layers: 3-4 of the model");
  expect_refused(run_convert({"--in", folder + "memra_trace.txt", "--out", out("x")}),
                 "got 1 tokens, wanted 3");
}

}  // namespace
}  // namespace gracemoe
