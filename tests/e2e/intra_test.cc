// What --intra auto becomes where memory cannot be shared, and who says so.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

// Files of at most 2 GB: memory that a node shares counts as one.
ProcessResult run_limited(const std::vector<std::string>& args) {
  std::vector<std::string> limited{"bash", "-c", "ulimit -f 2000000; exec \"$@\"", "bash"};
  const auto launch = under_mpirun(2, args);
  limited.insert(limited.end(), launch.begin(), launch.end());
  return run_process(limited, 60);
}

std::vector<std::string> generate(const std::vector<std::string>& more) {
  std::vector<std::string> args{
      GRACEMOE_PROGRAM, "generate",
      "--model",        std::string(GRACEMOE_SOURCE_DIR) + "/tests/data/olmoe_tiny",
      "--prompt",       "Once",
      "--max-tokens",   "2",
      "--topology",     "1x2",
      "--threads",      "1"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

TEST(Intra, AutoTakesMessagesUnderAFileSizeLimitAndSaysSo) {
  const TempDir folder;
  const std::string file = folder / "stats.json";
  const ProcessResult result = run_limited(generate({"--stats", file}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const std::string told = "auto: mpi on node 0 (making shared memory of ";
  EXPECT_THAT(result.err, HasSubstr("intra " + told));
  EXPECT_THAT(result.err, HasSubstr("got a file size limit (ulimit -f) of 2048000000"));
  EXPECT_THAT(read_file(file), HasSubstr(told));
}

TEST(Intra, SharedIsRefusedUnderAFileSizeLimit) {
  const ProcessResult result = run_limited(generate({"--intra", "shared"}));
  EXPECT_EQ(result.exit_code, 2) << result.err;
  EXPECT_THAT(result.err, HasSubstr("got a file size limit (ulimit -f) of 2048000000, wanted "
                                    "memory shared by the devices of a node"));
}

TEST(Intra, DoctorTellsWhatARunWouldMeet) {
  const ProcessResult result = run_limited({GRACEMOE_PROGRAM, "doctor", "--quiet", "--seconds", "0",
                                            "--threads", "1", "--topology", "1x2"});
  EXPECT_EQ(result.exit_code, 1) << result.out << result.err;
  EXPECT_THAT(result.out, HasSubstr("warning: shared memory: ranks 0, 1 "));
  EXPECT_THAT(result.out, HasSubstr("got a file size limit"));
}

// Loopback is fast, a node of its own has no link.
TEST(Packing, AutoSaysWhatItCameTo) {
  const ProcessResult one = run_process(under_mpirun(2, generate({})));
  EXPECT_EQ(one.exit_code, 0) << one.err;
  EXPECT_THAT(one.err, HasSubstr("packing auto: sums, even"));
  std::vector<std::string> args = generate({});
  *std::find(args.begin(), args.end(), "1x2") = "2x1";
  const ProcessResult two = run_process(under_mpirun(2, args));
  EXPECT_EQ(two.exit_code, 0) << two.err;
  EXPECT_THAT(two.err, HasSubstr("packing auto: "));
  EXPECT_THAT(two.err, HasSubstr("Mbit/s a device between nodes)"));
}

TEST(Intra, AutoIsSharedWhereItCan) {
  const ProcessResult result = run_process(under_mpirun(2, generate({})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.err, HasSubstr("intra auto: shared, packing"));
}

}  // namespace
}  // namespace gracemoe
