// gracemoe bench ladder on the smallest model: every row, its bytes against counts of our own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/files.h"
#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "trace/routing_trace.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

const std::string kLadderModel = std::string(GRACEMOE_SOURCE_DIR) + "/tests/data/olmoe_tiny";
const std::string kLadderText = std::string(GRACEMOE_SOURCE_DIR) + "/data/text/prose.txt";
constexpr int kHidden = 64, kExperts = 8, kRowBytes = 2 * kHidden, kPromptTokens = 10;

using Args = std::vector<std::string>;

Args ladder(const Args& more) {
  Args args{GRACEMOE_PROGRAM,   "bench", "ladder",     "--quiet", "--model",        kLadderModel,
            "--threads",        "1",     "--rounds",   "1",       "--profile-text", kLadderText,
            "--profile-tokens", "1000",  "--workload", "12x10x4"};
  args.insert(args.end(), more.begin(), more.end());
  return args;
}

std::string short_text(const TempDir& folder) {
  const std::string path = folder / "served.txt";
  write_file(path, read_file(kLadderText).substr(20000, 3000));
  return path;
}

std::map<std::string, Json> rows_of(const std::filesystem::path& file) {
  std::map<std::string, Json> rows;
  const Json json = read_json(file);
  for (const Json& row : json["rows"]) rows[row["name"]] = row;
  return rows;
}

double bytes(const Json& row, const char* key) {
  return row[key].get<double>() * 1e6;
}

// What vanilla sends out, from the tokens' choices alone: prompts of one length have their homes in
// turn, experts lie in order; in the last layer only rows that a token is drawn from are sent.
struct Copies {
  double cross = 0, intra = 0;
};
Copies vanilla_copies(const RoutingTrace& trace, int nodes, int devices_a_node) {
  const int devices = nodes * devices_a_node;
  Copies copies;
  std::map<std::int32_t, int> positions;  // of each sequence's next token
  for (std::int64_t token = 0; token < trace.tokens(); ++token) {
    const std::int32_t sequence = trace.sequence[static_cast<std::size_t>(token)];
    const int home = sequence % devices;
    const bool draws = positions[sequence]++ >= kPromptTokens - 1;
    for (int layer = 0; layer < (draws ? trace.layers : trace.layers - 1); ++layer) {
      for (const std::uint16_t expert : trace.chosen(token, layer)) {
        const int device = expert * devices / kExperts;
        if (device / devices_a_node != home / devices_a_node)
          ++copies.cross;
        else if (device != home)
          ++copies.intra;
      }
    }
  }
  return copies;
}

class Ladder : public testing::TestWithParam<std::pair<int, int>> {};

TEST_P(Ladder, EveryRowWritesTheSameAndSendsWhatItShould) {
  const auto [nodes, devices] = GetParam();
  const TempDir folder;
  const std::string text = short_text(folder), out = folder / "ladder.json";
  const std::string topology = std::to_string(nodes) + "x" + std::to_string(devices);
  const ProcessResult result = run_process(under_mpirun(
      nodes * devices, ladder({"--text", text, "--topology", topology, "--rate", "100mbit", "--out",
                               out, "--svg", folder / "l.svg", "--html", folder / "l.html"})));
  ASSERT_EQ(result.exit_code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr("every row generated the same tokens"));

  const std::string trace = folder / "served.safetensors";
  const ProcessResult one =
      run_process({GRACEMOE_PROGRAM, "generate", "--quiet", "--model", kLadderModel,
                   "--prompts-from", text, "--num-prompts", "12", "--prompt-tokens", "10",
                   "--max-tokens", "4", "--ignore-eos", "--show", "0", "--trace", trace});
  ASSERT_EQ(one.exit_code, 0) << one.err;
  auto rows = rows_of(out);
  ASSERT_EQ(rows.size(), 13U);
  const Copies copies = vanilla_copies(read_trace(trace), nodes, devices);
  EXPECT_GT(copies.cross, 0);
  EXPECT_DOUBLE_EQ(bytes(rows["vanilla"], "dispatch_cross_node_mb"), copies.cross * kRowBytes);
  EXPECT_DOUBLE_EQ(bytes(rows["vanilla"], "dispatch_intra_node_mb"), copies.intra * kRowBytes);
  // Every output row comes home.
  EXPECT_DOUBLE_EQ(bytes(rows["vanilla"], "cross_node_mb"), 2 * copies.cross * kRowBytes);
  EXPECT_EQ(rows["vanilla"]["against_vanilla"], 1.0);
  for (const auto& [one_copy, fewer] :
       {std::pair{"dedup", "vanilla"}, std::pair{"occult+hsc", "occult"}}) {
    EXPECT_LE(rows[one_copy]["dispatch_cross_node_mb"], rows[fewer]["dispatch_cross_node_mb"]);
    EXPECT_LE(rows[one_copy]["cross_node_mb"], rows[fewer]["cross_node_mb"]);
  }
  for (const auto& [name, row] : rows) {
    EXPECT_GT(row["end_to_end_s"], 0) << name;
    const double bound = row["bound_s"].is_null() ? 0 : row["bound_s"].get<double>();
    EXPECT_GE(bound * 100e6 / 8, bytes(row, "cross_node_mb") / nodes - 0.5)
        << name << ": no node sends less than the mean if it sends most";
  }
  EXPECT_THAT(read_file(folder / "l.svg"), HasSubstr("occult+hsc"));
  EXPECT_THAT(read_file(folder / "l.html"), HasSubstr("occult+hsc"));
}

INSTANTIATE_TEST_SUITE_P(Clusters, Ladder, testing::Values(std::pair{2, 1}, std::pair{2, 2}));

TEST(CliLadder, UnevenNodesAndOneProcessWork) {
  const TempDir folder;
  const std::string text = short_text(folder), out = folder / "ladder.json";
  const ProcessResult uneven = run_process(under_mpirun(
      3, ladder({"--text", text, "--topology", "2,1", "--rows", "vanilla,grace+", "--out", out})));
  EXPECT_EQ(uneven.exit_code, 0) << uneven.err;
  EXPECT_EQ(rows_of(out).size(), 2U);
  const ProcessResult one =
      run_process(ladder({"--text", text, "--rows", "vanilla,grace", "--out", out}));
  ASSERT_EQ(one.exit_code, 0) << one.err;
  EXPECT_EQ(rows_of(out)["grace"]["cross_node_mb"], 0);
}

// The counters are of the measured run alone.
TEST(CliLadder, AWarmUpChangesNoBytes) {
  const TempDir folder;
  const std::string text = short_text(folder), out = folder / "ladder.json";
  const auto measured = [&](const Args& more) {
    Args args = ladder(
        {"--text", text, "--topology", "2x1", "--rows", "occult,grace+overlap", "--out", out});
    args.insert(args.end(), more.begin(), more.end());
    const ProcessResult result = run_process(under_mpirun(2, args));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr(more.empty() ? "second runs" : "first runs"));
    return read_json(out);
  };
  const Json warm = measured({}), cold = measured({"--cold"});
  EXPECT_EQ(warm["warm"], true);
  EXPECT_EQ(cold["warm"], false);
  for (std::size_t row = 0; row < 2; ++row) {
    EXPECT_GT(cold["rows"][row]["cross_node_mb"], 0);
    EXPECT_EQ(warm["rows"][row]["cross_node_mb"], cold["rows"][row]["cross_node_mb"]);
    EXPECT_EQ(warm["rows"][row]["load_std"], cold["rows"][row]["load_std"]);
    const Json &its = warm["rows"][row], &of_cold = cold["rows"][row];
    if (row == 0) {  // a step of the other is cut as times have it
      EXPECT_EQ(its["metadata_mb"], of_cold["metadata_mb"]);
    }
    EXPECT_LE(its["all_to_all_s"].get<double>(), its["end_to_end_s"].get<double>());
  }
}

TEST(CliLadder, TheTraceIsWrittenOnceAndReadAgain) {
  const TempDir folder;
  const std::string text = short_text(folder), trace = folder / "t.safetensors";
  const Args args = ladder({"--text", text, "--rows", "vanilla", "--trace", trace});
  ASSERT_EQ(run_process(args).exit_code, 0);
  const std::string written = read_file(trace);
  EXPECT_EQ(read_trace(trace).tokens(), 1000);
  ASSERT_EQ(run_process(args).exit_code, 0);
  EXPECT_EQ(read_file(trace), written);
}

TEST(CliLadder, RefusesBeforeItRuns) {
  const TempDir folder;
  const std::string text = short_text(folder);
  const auto refusal = [&](const Args& more) {
    Args args{"--text", text};
    args.insert(args.end(), more.begin(), more.end());
    const ProcessResult result = run_process(ladder(args));
    EXPECT_EQ(result.exit_code, 2) << result.err;
    return result.err;
  };
  EXPECT_THAT(refusal({"--rows", "tutel"}), HasSubstr("'tutel'"));
  EXPECT_THAT(refusal({"--reduction", "bf16"}), HasSubstr("rows' tokens are to be equal"));
  EXPECT_THAT(refusal({"--rate", "fast"}), HasSubstr("got 'fast', wanted 100kbit"));
  EXPECT_THAT(refusal({"--out", folder / "no/l.json"}), HasSubstr("no/l.json"));
  EXPECT_THAT(refusal({"--out", folder / "x", "--svg", folder / "x"}),
              HasSubstr("for two of them"));
  write_file(folder / "t", std::string_view("no trace"));
  EXPECT_THAT(refusal({"--trace", folder / "t"}), HasSubstr("/t"));
  for (const std::string workload : {"12x10", "0x10x4", "12x10x4x1", "axbxc"}) {
    const ProcessResult result =
        run_process({GRACEMOE_PROGRAM, "bench", "ladder", "--model", kLadderModel, "--text", text,
                     "--workload", workload});
    EXPECT_EQ(result.exit_code, 2);
    EXPECT_THAT(result.err, HasSubstr("prompts x tokens of each x new tokens")) << workload;
  }
}

}  // namespace
}  // namespace gracemoe
