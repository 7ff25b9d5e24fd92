// The program as its users meet it: what it does with good and bad input, alone and under mpirun.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

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

const std::string kProgram = GRACEMOE_PROGRAM;
const std::string kSource = GRACEMOE_SOURCE_DIR;
const std::string kModel = kSource + "/models/gracemoe-demo";
const std::string kTiny = kSource + "/tests/data/olmoe_tiny";

using Args = std::vector<std::string>;

Args program(Args args) {
  args.insert(args.begin(), kProgram);
  return args;
}

// One short generation on the given model.
Args generation(const std::string& model, Args more = {}) {
  Args args{"generate", "--quiet", "--model", model, "--prompt", "The table", "--max-tokens", "4"};
  args.insert(args.end(), more.begin(), more.end());
  return program(args);
}

void expect_refusal(const ProcessResult& result, const std::string& message) {
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr(message));
}

// A copy of the tiny model that a test may damage.
std::filesystem::path copy_of_tiny(const TempDir& folder) {
  const std::filesystem::path copy = folder / "model";
  std::filesystem::copy(kTiny, copy);
  return copy;
}

TEST(Cli, OneProcessGeneratesWithoutALauncher) {
  const ProcessResult result = run_process(generation(kModel));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("The table"));
}

TEST(Cli, UnknownOptionAndMissingSubcommandAreUsageErrors) {
  EXPECT_EQ(run_process(program({})).exit_code, 2);
  EXPECT_EQ(run_process(program({"generate", "--no-such-option"})).exit_code, 2);
  EXPECT_EQ(run_process(program({"--help"})).exit_code, 0);
}

TEST(Cli, MissingModelFolder) {
  expect_refusal(run_process(generation("/nowhere/model")), "/nowhere/model");
}

TEST(Cli, TruncatedWeights) {
  const TempDir folder;
  const auto model = copy_of_tiny(folder);
  std::filesystem::resize_file(model / "model.safetensors",
                               std::filesystem::file_size(model / "model.safetensors") - 1000);
  expect_refusal(run_process(generation(model)), "model.safetensors");
}

TEST(Cli, AModelThatDoesNotFitIsRefusedBeforeLoading) {
  expect_refusal(run_process(generation(kModel, {"--memory-gb", "0.01"})),
                 "memory of a machine with 1 rank: got 10.0 MB");
  // What the answers' caches take counts too.
  expect_refusal(
      run_process(program({"generate", "--model", kSource + "/tests/data/deepseek_v2_tiny",
                           "--prompt", "a", "--max-tokens", "160000", "--memory-gb", "0.03"})),
      "caches 38.4 MB");
}

// From nothing to text and figures with a made checkpoint of another architecture.
TEST(Cli, MadeCheckpointsRunAndAreInspected) {
  const TempDir folder;
  const std::string deepseek = kSource + "/tests/data/deepseek_v2_tiny_q";
  const std::string made = folder / "made";
  const ProcessResult make = run_process(
      program({"make-checkpoint", "--quiet", "--config", deepseek + "/config.json", "--tokenizer",
               deepseek + "/tokenizer.json", "--shard-gb", "0.0002", "--out", made}));
  ASSERT_EQ(make.exit_code, 0) << make.err;
  const ProcessResult text = run_process(generation(made));
  EXPECT_EQ(text.exit_code, 0) << text.err;
  const ProcessResult inspect = run_process(program(
      {"inspect", "--model", made, "--sequences", "2", "--positions", "100", "--memory-gb", "1"}));
  EXPECT_EQ(inspect.exit_code, 0) << inspect.err;
  EXPECT_THAT(inspect.out,
              HasSubstr("KV cache 240 bytes a token (40 elements x 3 layers x 2 bytes)"));
  EXPECT_THAT(inspect.out, HasSubstr("shared experts of width 64"));
  EXPECT_THAT(inspect.out, HasSubstr("48.0 kB"));  // 2 x 100 x 240
  EXPECT_THAT(inspect.out, HasSubstr("yes"));
  const ProcessResult int8 =
      run_process(program({"inspect", "--model", made, "--positions", "100", "--weights", "int8"}));
  EXPECT_THAT(int8.out, HasSubstr("memory a device, int8 weights, with 1 sequence of 100"));
  EXPECT_THAT(int8.out, HasSubstr(" 102.4 kB "));  // of experts, below
  EXPECT_THAT(inspect.out, HasSubstr("fits: in 1.0 GB a device, as --memory-gb says"));
  EXPECT_THAT(int8.out, HasSubstr("a device, what this machine has available now"));
  const ProcessResult small =
      run_process(program({"inspect", "--model", kModel, "--memory-gb", "0.02"}));
  EXPECT_EQ(small.exit_code, 0) << small.err;
  EXPECT_THAT(small.out, HasSubstr("does not fit: in 20.0 MB a device, as --memory-gb says: 1 of 1 "
                                   "devices need more, device 0 "));
  EXPECT_THAT(int8.out, HasSubstr("  yes\n"));
  expect_refusal(run_process(program({"make-checkpoint", "--preset", "none", "--out", made})),
                 "preset: got 'none'");
}

TEST(Cli, UnknownArchitecture) {
  const TempDir folder;
  const auto model = copy_of_tiny(folder);
  Json config = read_json(model / "config.json");
  config["architectures"] = {"NoSuchForCausalLM"};
  write_file(model / "config.json", config.dump());
  const ProcessResult result = run_process(generation(model));
  expect_refusal(result, "NoSuchForCausalLM");
  EXPECT_THAT(result.err, HasSubstr("OlmoeForCausalLM"));
}

TEST(Cli, TensorOfAnotherShape) {
  const TempDir folder;
  const auto model = copy_of_tiny(folder);
  Json config = read_json(model / "config.json");
  config["intermediate_size"] = config["intermediate_size"].get<int>() * 2;
  write_file(model / "config.json", config.dump());
  expect_refusal(run_process(generation(model)), "experts.0.gate_proj.weight");
}

TEST(Cli, MalformedConfig) {
  const TempDir folder;
  const auto model = copy_of_tiny(folder);
  write_file(model / "config.json", std::string_view("{\"hidden_size\": 64,"));
  expect_refusal(run_process(generation(model)), "config.json");
}

TEST(Cli, TokenIdOutOfRange) {
  const TempDir folder;
  write_file(folder / "p.jsonl", std::string_view("{\"tokens\":[1,2,4096]}\n"));
  expect_refusal(run_process(program(
                     {"generate", "--quiet", "--model", kModel, "--prompts", folder / "p.jsonl"})),
                 "token id: got 4096");
}

TEST(Cli, PromptLongerThanTheModelsPositions) {
  expect_refusal(run_process(program({"generate", "--quiet", "--model", kModel, "--prompts-from",
                                      kSource + "/data/text/prose.txt", "--num-prompts", "1",
                                      "--prompt-tokens", "1020"})),
                 "at most 1024 positions");
}

TEST(Cli, EmptyPrompt) {
  const TempDir folder;
  write_file(folder / "p.jsonl", std::string_view("{\"tokens\":[]}\n"));
  expect_refusal(run_process(program(
                     {"generate", "--quiet", "--model", kModel, "--prompts", folder / "p.jsonl"})),
                 "an empty prompt");
  expect_refusal(run_process(program({"generate", "--quiet", "--model", kModel, "--prompt", ""})),
                 "at least one");
}

TEST(Cli, UnwritableOutputIsRefusedBeforeTheRunAndLeavesNothing) {
  const TempDir folder;
  const std::string trace = folder / "no/such/folder/trace.safetensors";
  const ProcessResult result = run_process(program(
      {"profile", "--model", kModel, "--text", kSource + "/data/text/prose.txt", "--out", trace}));
  expect_refusal(result, "no/such/folder");
  EXPECT_EQ(result.err.find("tokens/s"), std::string::npos)
      << "the run was made before its output was refused";
}

TEST(Cli, FullDiskIsReportedAndNothingIsLeft) {
  const TempDir folder;
  const std::string stats = folder / "stats.json";
  // A file size limit of 0 blocks stands in for a full disk; only the program is under it.
  const std::string script = "set -o pipefail; (ulimit -f 0; trap '' XFSZ; exec \"$@\" 2>&1) | cat";
  const ProcessResult result =
      run_process({"bash", "-c", script, "bash", kProgram, "generate", "--quiet", "--model", kTiny,
                   "--prompt", "a", "--max-tokens", "2", "--stats", stats, "--show", "0"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.out, HasSubstr("stats.json"));
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

// The README's figures; they test tokenizer, windows and engine together.
TEST(Cli, PerplexityOfTheShippedTexts) {
  const TempDir folder;
  const std::string json = folder / "eval.json";
  const ProcessResult result = run_process(
      program({"eval", "--quiet", "--model", kModel, "--text", kSource + "/data/text/prose.txt",
               "--text", kSource + "/data/text/code.txt", "--text", kSource + "/data/text/math.txt",
               "--json", json}),
      280);
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Json figures = read_json(json);
  const std::vector<std::pair<double, int>> want{{36.53, 63978}, {36.88, 72561}, {7.546, 103187}};
  for (std::size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(figures[i]["perplexity"].get<double>(), want[i].first, 0.005 * want[i].first);
    EXPECT_EQ(figures[i]["tokens"].get<int>(), want[i].second);
  }
}

class CliPlan : public testing::Test {
 protected:
  // A trace and a plan for 2 x 2 devices, made by the program itself.
  static void SetUpTestSuite() {
    folder_ = new TempDir;
    trace_ = *folder_ / "trace.safetensors";
    plan_ = *folder_ / "plan.json";
    const ProcessResult profile = run_process(
        program({"profile", "--quiet", "--model", kModel, "--text",
                 kSource + "/data/text/prose.txt", "--max-tokens", "4096", "--out", trace_}));
    ASSERT_EQ(profile.exit_code, 0) << profile.err;
    const ProcessResult plan = run_process(
        program({"plan", "--trace", trace_, "--nodes", "2", "--devices", "2", "--out", plan_}));
    ASSERT_EQ(plan.exit_code, 0) << plan.err;
  }
  static void TearDownTestSuite() { delete folder_; }
  static inline TempDir* folder_ = nullptr;
  static inline std::string trace_, plan_;
};

TEST_F(CliPlan, RunsOnItsCluster) {
  const ProcessResult result =
      run_process(under_mpirun(4, generation(kModel, {"--plan", plan_, "--topology", "2x2"})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_EQ(result.out, run_process(generation(kModel)).out);
}

TEST_F(CliPlan, IsRefusedByMoreAndByFewerRanks) {
  expect_refusal(run_process(generation(kModel, {"--plan", plan_})), "4 devices");
  const ProcessResult more =
      run_process(under_mpirun(6, generation(kModel, {"--plan", plan_, "--topology", "2x3"})));
  EXPECT_EQ(more.exit_code, 2);
  EXPECT_THAT(more.err, HasSubstr("4 devices"));
  const ProcessResult fewer =
      run_process(under_mpirun(3, generation(kModel, {"--plan", plan_, "--topology", "1x3"})));
  EXPECT_EQ(fewer.exit_code, 2);
  EXPECT_THAT(fewer.err, HasSubstr("4 devices"));
}

TEST_F(CliPlan, IsRefusedByAnotherModel) {
  const ProcessResult result =
      run_process(under_mpirun(4, generation(kTiny, {"--plan", plan_, "--topology", "2x2"})));
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("plan.json"));
}

TEST_F(CliPlan, IsRefusedWhenDamaged) {
  const TempDir folder;
  const std::string text = read_file(plan_);
  write_file(folder / "half.json", text.substr(0, text.size() / 2));
  expect_refusal(run_process(generation(kModel, {"--plan", folder / "half.json"})), "half.json");
}

TEST_F(CliPlan, TraceWithAnExpertOutOfRangeIsRefused) {
  const TempDir folder;
  RoutingTrace trace = read_trace(trace_);
  trace.num_experts = 64;
  trace.experts[5] = 64;
  // write_trace checks nothing of the kind: it must be the reader that refuses.
  write_trace(folder / "bad.safetensors", trace);
  expect_refusal(run_process(program({"plan", "--trace", folder / "bad.safetensors", "--nodes", "2",
                                      "--devices", "2", "--out", folder / "p.json"})),
                 "got expert 64, wanted ids from 0 to 63");
  EXPECT_FALSE(std::filesystem::exists(folder / "p.json"));
}

TEST_F(CliPlan, InspectTellsWhatDevicesAndMachinesNeed) {
  const ProcessResult fits = run_process(program({"inspect", "--model", kModel, "--plan", plan_}));
  EXPECT_EQ(fits.exit_code, 0) << fits.err;
  EXPECT_THAT(fits.out, HasSubstr("a machine for all devices of a node, other weights kept once:"));
  EXPECT_THAT(fits.out, ContainsRegex("node 0 [0-9.]+ MB .fits here., node 1 [0-9.]+ MB .fits"));
  const ProcessResult less =
      run_process(program({"inspect", "--model", kModel, "--plan", plan_, "--memory-gb", "0.02"}));
  EXPECT_THAT(less.out, HasSubstr("does not fit: in 20.0 MB a device, as --memory-gb says"));
  EXPECT_THAT(less.out, HasSubstr("4 of 4 devices need more"));
}

TEST_F(CliPlan, ARankLoadsOnlyItsExpertsAndGetsWhatOthersSend) {
  const TempDir folder;
  const std::string stats = folder / "stats.json";
  const ProcessResult result = run_process(under_mpirun(
      4, generation(kModel, {"--plan", plan_, "--topology", "2x2", "--stats", stats})));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Plan plan = read_plan(plan_);
  const Json run = read_json(stats);
  const std::int64_t expert = 3 * 64 * 256 * 2;
  for (int device = 0; device < 4; ++device) {
    std::int64_t experts = 0;
    for (int layer = 0; layer < 4; ++layer)
      experts += static_cast<std::int64_t>(plan.experts_on(layer, device).size());
    const std::int64_t everywhere =
        31690920 - 64 * 4 * expert;  // all but the experts; the file's header is in it too
    const auto read = run["devices"][static_cast<std::size_t>(device)]["checkpoint_bytes_read"]
                          .get<std::int64_t>();
    EXPECT_LE(read, experts * expert + everywhere);
    EXPECT_GE(read, experts * expert);
  }
  std::int64_t sent = 0, received = 0;
  for (const Json& layer : run["layers"]) {
    for (const std::int64_t bytes : layer["dispatch_payload_cross_node_bytes"]) sent += bytes;
    for (const std::int64_t bytes : layer["combine_payload_cross_node_bytes"]) sent += bytes;
    for (const std::int64_t bytes : layer["received_from_other_nodes_bytes"]) received += bytes;
  }
  EXPECT_GT(sent, 0);
  EXPECT_EQ(received, sent);
}

// 64 prompts x 32 tokens over real MPI: every sampled row's logits are those of one process, bit
// for bit.
TEST(CliLossless, AnyNumberOfMpiRanksGivesOneProcesssLogits) {
  const TempDir folder;
  const std::string trace = folder / "trace.safetensors";
  ASSERT_EQ(run_process(
                program({"profile", "--quiet", "--model", kModel, "--text",
                         kSource + "/data/text/math.txt", "--max-tokens", "4096", "--out", trace}))
                .exit_code,
            0);
  const auto run = [&](const std::string& out, const Args& more) {
    Args args{
        "generate",        "--quiet",
        "--model",         kModel,
        "--prompts-from",  kSource + "/data/text/prose.txt," + kSource + "/data/text/code.txt",
        "--num-prompts",   "64",
        "--prompt-tokens", "48",
        "--max-tokens",    "32",
        "--ignore-eos",    "--logit-hashes",
        "--out",           folder / out};
    args.insert(args.end(), more.begin(), more.end());
    return program(args);
  };
  const ProcessResult one = run_process(run("one.jsonl", {}));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  const std::string want = read_file(folder / "one.jsonl");
  for (const std::string topology : {"2x1", "2,1", "2x2"}) {
    const std::string plan = folder / (topology + ".json");
    ASSERT_EQ(
        run_process(program({"plan", "--trace", trace, "--topology", topology, "--out", plan}))
            .exit_code,
        0);
    const int ranks = Topology::parse(topology).devices();
    const ProcessResult many = run_process(
        under_mpirun(ranks, run("many.jsonl", {"--plan", plan, "--topology", topology})));
    ASSERT_EQ(many.exit_code, 0) << many.err;
    EXPECT_EQ(read_file(folder / "many.jsonl"), want) << topology;
  }
}

TEST(CliLossless, RanksWithOtherWeightsAreRefused) {
  const TempDir folder;
  const auto other = copy_of_tiny(folder);
  Json config = read_json(other / "config.json");
  config["rope_theta"] = 1234.0;
  write_file(other / "config.json", config.dump());
  const std::string script =
      "model=$0; [ \"$OMPI_COMM_WORLD_RANK\" = 1 ] && model=" + other.string() + "; exec " +
      kProgram + " generate --quiet --model $model --prompt a --max-tokens 2";
  const ProcessResult result = run_process(under_mpirun(2, {"bash", "-c", script, kTiny}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("this rank and rank 0 differ"));
}

// Without weights, so that whatever loads first ends with another message.
std::filesystem::path tiny_without_weights(const TempDir& folder) {
  const auto model = copy_of_tiny(folder);
  std::filesystem::remove(model / "model.safetensors");
  write_file(folder / "text.txt", std::string_view("The table"));
  return model;
}

TEST(Cli, EvalRefusesWhatCannotBeBeforeItLoads) {
  const TempDir folder;
  const auto model = tiny_without_weights(folder);
  const auto eval = [&](const Args& more) {
    Args args{"eval", "--model", model.string(), "--text", folder / "text.txt"};
    args.insert(args.end(), more.begin(), more.end());
    return run_process(program(args));
  };
  expect_refusal(eval({}), "at least one window of 256");
  expect_refusal(eval({"--window", "2"}), "no weights");
  expect_refusal(eval({"--window", "2", "--weights", "bf16,int4"}),
                 "weights of the cpu backend: got 'int4', wanted bf16 or int8");
  expect_refusal(eval({"--window", "2", "--weights", "bf16,int8", "--backend", "reference"}),
                 "weights of the reference backend: got int8, wanted bf16");
  expect_refusal(eval({"--json", folder / "no/such/x.json"}), "no/such");
  expect_refusal(eval({"--profile", folder / "no/such/x.json"}), "no/such");
  Json config = read_json(model / "config.json");
  config["vocab_size"] = 10;
  std::filesystem::remove(model / "generation_config.json");
  for (const char* key : {"bos_token_id", "eos_token_id", "pad_token_id"}) config[key] = 1;
  write_file(model / "config.json", config.dump());
  expect_refusal(eval({"--window", "2"}), "token id: got ");
}

// Megabytes that a refusal for want of memory tells for buffers.
double refused_buffers_mb(const Args& args) {
  const ProcessResult result = run_process(program(args));
  expect_refusal(result, "memory of a machine with 1 rank: got 10.0 MB");
  const std::size_t at = result.err.find("buffers ");
  return at == std::string::npos ? 0 : std::stod(result.err.substr(at + 8));
}

TEST(Cli, LogitsAreCountedBeforeLoading) {
  const TempDir folder;
  const Args common{"--model", kModel, "--memory-gb", "0.01"};
  const auto buffers = [&](Args args) {
    args.insert(args.end(), common.begin(), common.end());
    return refused_buffers_mb(args);
  };
  const std::string text = kSource + "/data/text/math.txt";
  const double none = buffers({"profile", "--text", text, "--out", folder / "trace"});
  const double row = 4e-6 * 4096;  // float32 a token of the vocabulary
  EXPECT_NEAR(buffers({"eval", "--text", text}) - none, 512 * row, 0.11) << "of every row";
  const double of_prompts = buffers({"generate", "--prompts-from", text, "--num-prompts", "200",
                                     "--prompt-tokens", "4", "--max-tokens", "2"});
  EXPECT_NEAR(of_prompts - none, 200 * row, 0.11) << "of one row a prompt";
}

TEST(Cli, ProfileRefusesWindowsAndTextsBeforeItLoads) {
  const TempDir folder;
  const auto model = tiny_without_weights(folder);
  write_file(folder / "empty.txt", std::string_view(""));
  const auto profile = [&](const std::string& text, const std::string& window) {
    return run_process(program({"profile", "--model", model.string(), "--text", folder / text,
                                "--window", window, "--out", folder / "trace"}));
  };
  expect_refusal(profile("text.txt", "1000000"), "window: got 1000000, wanted at most ");
  expect_refusal(profile("empty.txt", "16"), "no token");
  expect_refusal(profile("text.txt", "16"), "no weights");
  expect_refusal(run_process(program({"profile", "--model", model.string(), "--text",
                                      folder / "empty.txt", "--out", folder / "no/such/trace"})),
                 "no/such");
}

TEST(Cli, StandardOutputThatCannotBeWrittenIsAnError) {
  const ProcessResult result =
      run_process({"bash", "-c", "exec \"$@\" >/dev/full", "bash", kProgram, "generate", "--quiet",
                   "--model", kTiny, "--prompt", "a", "--max-tokens", "2"});
  expect_refusal(result, "standard output");
}

TEST(Cli, ValuesThatMeanNothingAreRefused) {
  const TempDir folder;
  const std::string out = folder / "x";
  EXPECT_EQ(run_process(program({"profile", "--model", kModel, "--text", kTiny, "--max-tokens",
                                 "-3", "--out", out}))
                .exit_code,
            2);
  EXPECT_EQ(run_process(program({"plan", "--trace", out, "--topology", "2x2", "--holdout", "-4",
                                 "--out", out}))
                .exit_code,
            2);
  expect_refusal(run_process(generation(kTiny, {"--out", out, "--stats", out})), "for two of them");
  expect_refusal(run_process(program({"report"})), "neither a run nor a plan");
}

TEST(Cli, MissingShard) {
  const TempDir folder;
  const auto model = copy_of_tiny(folder);
  std::filesystem::remove(model / "model.safetensors");
  write_file(model / "model.safetensors.index.json",
             std::string_view(
                 R"({"weight_map": {"lm_head.weight": "model-00001-of-00002.safetensors"}})"));
  expect_refusal(run_process(generation(model)), "model-00001-of-00002.safetensors");
}

// The job must end by itself within 10 s of the death, name the rank and fail.
TEST(Cli, AKilledRankTakesTheJobDownPromptly) {
  const TempDir folder;
  std::string command;
  for (const std::string& arg : under_mpirun(
           4,
           program({"generate", "--quiet", "--model", kModel, "--topology", "2x2", "--prompts-from",
                    kSource + "/data/text/prose.txt", "--num-prompts", "200", "--prompt-tokens",
                    "512", "--max-tokens", "500", "--out", folder / "c.jsonl"})))
    command += "'" + arg + "' ";
  const std::string script = command + " & job=$!; sleep 3; pid=$(pgrep -f -- '--out " +
                             (folder / "c.jsonl").string() +
                             "' | while read p; do grep -qz OMPI_COMM_WORLD_RANK=2 "
                             "/proc/$p/environ 2>/dev/null && echo $p; done | head -1); "
                             "kill -9 $pid; date +%s > " +
                             (folder / "killed").string() + "; wait $job; code=$?; date +%s > " +
                             (folder / "ended").string() + "; exit $code";
  const ProcessResult result = run_process({"bash", "-c", script}, 60);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("rank 2"));
  EXPECT_FALSE(std::filesystem::exists(folder / "c.jsonl"));
  EXPECT_LE(std::stol(read_file(folder / "ended")) - std::stol(read_file(folder / "killed")), 10);
}

}  // namespace
}  // namespace gracemoe
