// gracemoe doctor on this machine: good news, and what must not pass.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

const std::string kDoctorModel = std::string(GRACEMOE_SOURCE_DIR) + "/tests/data/olmoe_tiny";

std::vector<std::string> doctor(const std::vector<std::string>& more) {
  std::vector<std::string> args{GRACEMOE_PROGRAM, "doctor", "--quiet", "--threads", "1",
                                "--seconds",      "0.3"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

TEST(CliDoctor, OneProcessNeedsNoLauncher) {
  const TempDir folder;
  const ProcessResult result =
      run_process(doctor({"--model", kDoctorModel, "--json", folder / "doctor.json"}));
  EXPECT_LE(result.exit_code, 1) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("ok: model: fingerprint and digest"));
  const Json json = read_json(folder / "doctor.json");
  EXPECT_EQ(json["ranks"].size(), 1U);
  EXPECT_EQ(json["exit_code"], result.exit_code);
  EXPECT_TRUE(json["links"]["inter_node"].is_null());
}

TEST(CliDoctor, RanksMeetAndLinksAreMeasured) {
  for (const auto& [ranks, topology] : {std::pair{2, "2x1"}, std::pair{4, "2x2"}}) {
    const TempDir folder;
    const ProcessResult result =
        run_process(under_mpirun(ranks, doctor({"--topology", topology, "--model", kDoctorModel,
                                                "--json", folder / "doctor.json"})));
    EXPECT_LE(result.exit_code, 1) << result.out << result.err;
    const Json json = read_json(folder / "doctor.json");
    EXPECT_EQ(json["ranks"].size(), static_cast<std::size_t>(ranks));
    EXPECT_GT(json["links"]["inter_node"]["bytes_per_s"], 0);
    EXPECT_EQ(json["links"]["intra_node"].is_null(), ranks == 2);
    EXPECT_THAT(result.out, HasSubstr(std::string(topology) + " (nodes x devices), as declared"));
    EXPECT_THAT(result.out, HasSubstr("ok: clocks: at most rank"));
  }
}

TEST(CliDoctor, AnotherModelOnOneRankIsAProblem) {
  const TempDir folder;
  std::filesystem::copy(kDoctorModel, folder / "model");
  Json config = read_json(folder / "model/config.json");
  config["rope_theta"] = 1234.0;
  write_file(folder / "model/config.json", config.dump());
  const std::string script =
      "model=$0; [ \"$OMPI_COMM_WORLD_RANK\" = 1 ] && model=" + (folder / "model").string() +
      "; exec " + GRACEMOE_PROGRAM + " doctor --quiet --seconds 0 --model $model";
  const ProcessResult result = run_process(under_mpirun(2, {"bash", "-c", script, kDoctorModel}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.out, HasSubstr("problem: model: the weights differ"));
  EXPECT_THAT(result.out, HasSubstr("copy one folder to every node"));
}

TEST(CliDoctor, AMissingModelAndAPlanThatDoesNotFitAreProblems) {
  const TempDir folder;
  const ProcessResult missing = run_process(doctor({"--model", "/nowhere/model"}));
  EXPECT_EQ(missing.exit_code, 2);
  EXPECT_THAT(missing.out, HasSubstr("problem: model: rank 0"));
  const std::string trace = folder / "t.safetensors", plan = folder / "plan.json";
  ASSERT_EQ(run_process({GRACEMOE_PROGRAM, "profile", "--quiet", "--model", kDoctorModel, "--text",
                         std::string(GRACEMOE_SOURCE_DIR) + "/data/text/prose.txt", "--max-tokens",
                         "500", "--out", trace})
                .exit_code,
            0);
  ASSERT_EQ(
      run_process({GRACEMOE_PROGRAM, "plan", "--trace", trace, "--topology", "2x1", "--out", plan})
          .exit_code,
      0);
  const ProcessResult misfit = run_process(doctor({"--model", kDoctorModel, "--plan", plan}));
  EXPECT_EQ(misfit.exit_code, 2);
  EXPECT_THAT(misfit.out, HasSubstr("problem: plan: rank 0"));
  EXPECT_THAT(misfit.out, HasSubstr("2 devices"));
  const ProcessResult fit = run_process(
      under_mpirun(2, doctor({"--model", kDoctorModel, "--plan", plan, "--topology", "2x1"})));
  EXPECT_LE(fit.exit_code, 1) << fit.out;
}

TEST(CliDoctor, ARankThatIsNotThereEndsTheCheckInTime) {
  const std::string script =
      std::string(
          "[ \"$OMPI_COMM_WORLD_RANK\" = 1 ] && (sleep 0.5; kill -STOP $$; sleep 9; kill "
          "-KILL $$) & exec ") +
      GRACEMOE_PROGRAM + " doctor --quiet --seconds 60 --timeout 2";
  const ProcessResult result = run_process(under_mpirun(2, {"bash", "-c", script}), 40);
  EXPECT_NE(result.exit_code, 0);
  EXPECT_THAT(result.err, HasSubstr("rank 1"));
}

TEST(CliDoctor, AnInstructionSetThatIsNotThereIsAProblem) {
  const ProcessResult unknown = run_process(doctor({"--isa", "foo"}));
  EXPECT_EQ(unknown.exit_code, 2);
  EXPECT_THAT(unknown.err, HasSubstr("--isa: foo not in {avx2,avx512,avx512-bf16}"));
  if (__builtin_cpu_supports("avx512f")) GTEST_SKIP() << "this machine has AVX-512";
  const ProcessResult lacking = run_process(doctor({"--isa", "avx512"}));
  EXPECT_EQ(lacking.exit_code, 2);
  EXPECT_THAT(lacking.out, HasSubstr("problem: kernels: rank 0"));
  EXPECT_THAT(lacking.out, HasSubstr("wanted one that this machine has"));
}

// It stops before MPI has started: nothing but the start-up's own deadline can find that out.
TEST(CliDoctor, ARankThatStopsBeforeMpiStartsIsNamed) {
  const std::string script =
      std::string("[ \"$OMPI_COMM_WORLD_RANK\" = 1 ] && kill -STOP $$; exec ") + GRACEMOE_PROGRAM +
      " doctor --quiet --seconds 0 --timeout 1";
  const ProcessResult result = run_process(under_mpirun(2, {"bash", "-c", script}), 20);
  EXPECT_EQ(result.exit_code, 1) << result.out;
  EXPECT_THAT(result.err, HasSubstr("rank 0: start-up: MPI_Init has not ended after 5 seconds"));
  EXPECT_THAT(result.err, HasSubstr("rank 1 (process "));
  EXPECT_THAT(result.err, HasSubstr(", bash) on this machine is stopped"));
}

}  // namespace
}  // namespace gracemoe
