// gracemoe calibrate: that it runs, alone and under mpirun, and that its file can be read. What it
// finds is a matter of the machine; tests/runtime has it find a simulated cluster.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/process.h"
#include "support/temp_dir.h"
#include "topology/cluster.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

const std::string kCalibrateModel = std::string(GRACEMOE_SOURCE_DIR) + "/models/gracemoe-demo";

std::vector<std::string> calibration(std::vector<std::string> more) {
  std::vector<std::string> args{GRACEMOE_PROGRAM, "calibrate", "--quiet"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

TEST(CliCalibrate, OneProcessMeasuresExpertsAndSaysThatLinksAreAssumed) {
  const TempDir folder;
  const std::string out = folder / "c.json";
  const ProcessResult result =
      run_process(calibration({"--model", kCalibrateModel, "--seconds", "0.5", "--out", out}));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("there is no such link here"));
  const Cluster cluster = read_cluster(out);
  EXPECT_EQ(cluster.topology, Topology::grid(1, 1));
  EXPECT_EQ(cluster.inter_node, kDefaultInterNode);
  EXPECT_EQ(cluster.compute.hidden, 256);
  EXPECT_GT(cluster.compute.flops_per_s, 0);
  EXPECT_THAT(cluster.measured, HasSubstr("links between nodes assumed"));
}

TEST(CliCalibrate, RanksMeasureTheirLinks) {
  const TempDir folder;
  const std::string out = folder / "c.json";
  const ProcessResult result = run_process(
      under_mpirun(3, calibration({"--hidden", "64", "--expert-width", "32", "--experts", "8",
                                   "--topology", "2,1", "--seconds", "1", "--out", out})));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  const Cluster cluster = read_cluster(out);
  EXPECT_EQ(cluster.topology, Topology::of({2, 1}));
  for (const LinkSpec& link : {cluster.intra_node, cluster.inter_node}) {
    EXPECT_GE(link.latency_s, 0);
    EXPECT_GT(link.bytes_per_s, 0);
  }
  EXPECT_NE(cluster.inter_node, kDefaultInterNode);
  EXPECT_NE(cluster.intra_node, kDefaultIntraNode);
  EXPECT_GT(cluster.compute.weight_bytes_per_s, 0);
}

TEST(CliCalibrate, RefusesBeforeItMeasures) {
  const TempDir folder;
  const std::string out = folder / "c.json";
  const auto refusal = [](const std::vector<std::string>& more) {
    const ProcessResult result = run_process(calibration(more));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_THAT(refusal({"--out", out}), HasSubstr("--model DIR, or --hidden N"));
  EXPECT_THAT(refusal({"--out", out, "--hidden", "64"}), HasSubstr("no full shape"));
  EXPECT_THAT(refusal({"--out", out, "--model", kCalibrateModel, "--hidden", "64"}),
              HasSubstr("a model and a shape"));
  EXPECT_THAT(refusal({"--out", out, "--model", "/nowhere"}), HasSubstr("/nowhere"));
  EXPECT_THAT(refusal({"--out", folder / "no/c.json", "--model", kCalibrateModel}),
              HasSubstr("no/c.json"));
  EXPECT_THAT(refusal({"--out", out, "--model", kCalibrateModel, "--topology", "2x2"}),
              HasSubstr("mpirun -np 4"));
  EXPECT_THAT(refusal({"--out", out, "--model", kCalibrateModel, "--isa", "mmx"}),
              HasSubstr("mmx"));
  refusal({"--out", out, "--hidden", "-3"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace gracemoe
