// Weights in 8 bits, and the benchmark of one process.
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

const std::string kModel = std::string(GRACEMOE_SOURCE_DIR) + "/models/gracemoe-demo";
const std::string kTiny = std::string(GRACEMOE_SOURCE_DIR) + "/tests/data/olmoe_tiny";

ProcessResult gracemoe(std::vector<std::string> args) {
  args.insert(args.begin(), GRACEMOE_PROGRAM);
  return run_process(args);
}

TEST(Int8, EvalShowsBothPerplexitiesSideBySide) {
  const TempDir folder;
  const std::string file = folder / "eval.json", text = folder / "text.txt";
  const std::string prose = read_file(std::string(GRACEMOE_SOURCE_DIR) + "/data/text/prose.txt");
  write_file(text, prose.substr(0, 12000));
  const ProcessResult result = gracemoe({"eval", "--quiet", "--model", kModel, "--text", text,
                                         "--weights", "bf16,int8", "--json", file});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("bf16 weights"));
  EXPECT_THAT(result.out, HasSubstr("int8 weights"));
  const Json json = read_json(file);
  ASSERT_EQ(json.size(), 2u);
  EXPECT_EQ(json[0].at("weights"), "bf16");
  EXPECT_EQ(json[1].at("weights"), "int8");
  const double bf16 = json[0].at("perplexity").get<double>();
  const double int8 = json[1].at("perplexity").get<double>();
  EXPECT_NE(bf16, int8);  // something is rounded
  EXPECT_NEAR(int8 / bf16, 1, 0.01);
}

TEST(Int8, WhatItDoesNotGoWithIsRefused) {
  const auto generate = [](const std::vector<std::string>& more) {
    std::vector<std::string> args{"generate", "--quiet", "--model", kTiny, "--prompt", "The"};
    args.insert(args.end(), more.begin(), more.end());
    const ProcessResult result = gracemoe(args);
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(generate({"--weights", "int4"}),
              HasSubstr("weights of the cpu backend: got 'int4', wanted bf16 or int8"));
  EXPECT_THAT(generate({"--weights", "int8", "--backend", "reference"}),
              HasSubstr("weights of the reference backend: got int8, wanted bf16"));
}

TEST(BenchCompute, TableAndFiles) {
  const TempDir folder;
  const std::string file = folder / "bench.json", profile = folder / "profile.json";
  const ProcessResult result =
      gracemoe({"bench", "compute", "--quiet", "--model", kTiny, "--threads", "1", "--batches",
                "1,3", "--prefill", "12", "--context", "5", "--seconds", "0", "--json", file,
                "--profile", profile});
  ASSERT_EQ(result.exit_code, 0) << result.err;
  for (const char* word :
       {"GB/s from huge pages", "agree to the bit", "prefill", "decode", "of bandwidth", "experts"})
    EXPECT_THAT(result.out, HasSubstr(word));
  const Json json = read_json(file);
  EXPECT_EQ(json.at("format"), "gracemoe-bench-compute");
  ASSERT_EQ(json.at("phases").size(), 4u);
  const Json& prefill = json.at("phases")[1];
  EXPECT_EQ(prefill.at("sequences"), 3);
  EXPECT_EQ(prefill.at("tokens_a_step"), 12);
  EXPECT_EQ(prefill.at("seconds").size(), 3u);
  EXPECT_GT(prefill.at("flops").get<double>(), 0);
  EXPECT_GT(json.at("limits").at("read_bytes_per_second").get<double>(), 0);
  EXPECT_LT(json.at("reference_error").get<double>(), 0.1);
  EXPECT_GT(read_json(profile).at("traceEvents").size(), 100u);
}

TEST(BenchCompute, WrongShapesAreRefused) {
  EXPECT_THAT(gracemoe({"bench", "compute", "--preset", "gpt-5"}).err, HasSubstr("olmoe-1b-7b"));
  const ProcessResult result = gracemoe({"bench", "compute", "--layers", "17"});
  EXPECT_EQ(result.exit_code, 2);
  EXPECT_THAT(result.err, HasSubstr("layers: got 17, wanted at most 16"));
}

TEST(BenchCompute, MorePositionsThanTheModelHasAreRefused) {
  const ProcessResult prefill =
      gracemoe({"bench", "compute", "--model", kModel, "--batches", "2,1", "--prefill", "1025"});
  EXPECT_EQ(prefill.exit_code, 2);
  EXPECT_THAT(prefill.err, HasSubstr("prefill of bench compute: got 1025 tokens of 1 sequence, "
                                     "wanted at most 1024 positions"));
  const ProcessResult decode =
      gracemoe({"bench", "compute", "--model", kModel, "--context", "1000"});
  EXPECT_EQ(decode.exit_code, 2);
  EXPECT_THAT(decode.err, HasSubstr("context of bench compute: got 1000 positions and up to 64"));
}

TEST(BenchCompute, ColourCodesStayOutOfFilesUnderALauncher) {
  const auto table = [](const std::vector<std::string>& setting) {
    std::vector<std::string> args{"env"};
    args.insert(args.end(), setting.begin(), setting.end());
    args.insert(args.end(),
                {GRACEMOE_PROGRAM, "bench", "compute", "--quiet", "--no-verify", "--model", kTiny,
                 "--threads", "1", "--batches", "1", "--prefill", "2", "--seconds", "0"});
    const ProcessResult result = run_process(under_mpirun(1, args));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return result.out;
  };
  EXPECT_THAT(table({}), Not(HasSubstr("\033")));
  EXPECT_THAT(table({"CLICOLOR_FORCE=1"}), HasSubstr("\033[1;32m"));
}

}  // namespace
}  // namespace gracemoe
