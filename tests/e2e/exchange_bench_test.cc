// gracemoe bench exchange: a trace replayed on several clusters; the program checks every sum
// itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/files.h"
#include "base/json.h"
#include "support/process.h"
#include "support/temp_dir.h"
#include "trace/routing_trace.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

// 5 sequences of so many tokens, 2 layers, 3 of 8 experts.
RoutingTrace replayed_trace(int length = 7) {
  RoutingTrace trace;
  trace.model = "made up";
  trace.num_experts = 8;
  trace.top_k = 3;
  trace.layers = 2;
  for (int t = 0; t < 5 * length; ++t) {
    trace.sequence.push_back(t / length);
    for (int layer = 0; layer < 2; ++layer)
      for (int j = 0; j < 3; ++j)
        trace.experts.push_back(
            static_cast<std::uint16_t>((t * 5 + layer * 3 + j * (1 + t % 2)) % 8));
  }
  return trace;
}

class BenchExchange : public testing::Test {
 protected:
  BenchExchange() : trace_(folder_ / "t.safetensors") { write_trace(trace_, replayed_trace()); }

  std::vector<std::string> bench(const std::vector<std::string>& more) const {
    std::vector<std::string> args{GRACEMOE_PROGRAM,
                                  "bench",
                                  "exchange",
                                  "--quiet",
                                  "--trace",
                                  trace_,
                                  "--hidden",
                                  "48",
                                  "--rounds",
                                  "2",
                                  "--tokens-per-step",
                                  "4",
                                  "--out",
                                  folder_ / "x.json"};
    args.insert(args.end(), more.begin(), more.end());
    return args;
  }

  const TempDir folder_;
  std::string trace_;
};

TEST_F(BenchExchange, EveryKindOfExchangeOnEvenAndUnevenNodes) {
  double last = 0;
  for (const auto& [ranks, topology] :
       {std::pair{1, "1x1"}, std::pair{2, "2x1"}, std::pair{3, "2,1"}, std::pair{4, "2x2"}}) {
    for (const std::string kind : {"hierarchical", "flat-device", "flat-expert"}) {
      const std::vector<std::string> args =
          bench({"--topology", topology, "--exchange", kind, "--rate", "100mbit"});
      const ProcessResult result =
          ranks == 1 ? run_process(args) : run_process(under_mpirun(ranks, args));
      ASSERT_EQ(result.exit_code, 0) << topology << " " << kind << ": " << result.err;
      EXPECT_THAT(result.out, HasSubstr("every row came back as the sum it must be"));
      const Json json = read_json(folder_ / "x.json");
      EXPECT_EQ(json["rounds"].size(), 2U);
      EXPECT_EQ(json["entries"], 35 * 2 * 3) << "every choice is computed once a round";
      const double cross = json["dispatch"]["cross_node_bytes"];
      EXPECT_EQ(cross, json["cross_node_rows"].get<double>() * 48 * 2);
      EXPECT_GE(cross, last) << "fewer copies, not more bytes";
      EXPECT_EQ(cross > 0, ranks > 1);
      last = cross;
    }
    last = 0;
  }
}

TEST_F(BenchExchange, ExactReductionAndAGivenPlan) {
  const std::string plan = folder_ / "p.json";
  ASSERT_EQ(run_process({GRACEMOE_PROGRAM, "plan", "--trace", trace_, "--topology", "2x1", "--out",
                         plan, "--holdout", "0"})
                .exit_code,
            0);
  const ProcessResult fits = run_process(
      under_mpirun(2, bench({"--plan", plan, "--topology", "2x1", "--reduction", "exact"})));
  EXPECT_EQ(fits.exit_code, 0) << fits.err;
  const ProcessResult shared = run_process(
      under_mpirun(2, bench({"--topology", "1x2", "--intra", "shared", "--packing", "none"})));
  EXPECT_EQ(shared.exit_code, 0) << shared.err;
  const ProcessResult misfit = run_process(bench({"--plan", plan}));
  EXPECT_EQ(misfit.exit_code, 2);
  EXPECT_THAT(misfit.err, HasSubstr("2 devices"));
}

TEST_F(BenchExchange, PartsMoveWhatWholeMessagesMove) {
  const auto bytes = [&](const std::string& overlap) {
    const ProcessResult result = run_process(
        under_mpirun(3, bench({"--topology", "2,1", "--overlap", overlap, "--rate", "1gbit"})));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json json = read_json(folder_ / "x.json");
    return std::pair(json["busiest_link_bytes"].get<int>(), json["bound_by_phase_s"].get<double>());
  };
  const auto whole = bytes("none");
  EXPECT_GT(whole.first, 0);
  EXPECT_EQ(bytes("stage"), whole);
}

// 5 sequences on 3 devices, 4 tokens a step: halves of 2, of 1 and 2, and of none.
TEST_F(BenchExchange, TwoHalvesOfAStepShareTheLink) {
  const auto run = [&](const std::string& overlap, std::vector<std::string> more) {
    more.insert(more.end(), {"--topology", "2,1", "--overlap", overlap, "--rate", "1gbit"});
    const ProcessResult result = run_process(under_mpirun(3, bench(more)));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    EXPECT_THAT(result.out, HasSubstr("every row came back as the sum it must be"));
    EXPECT_THAT(result.out,
                HasSubstr(overlap == "batch" ? "step by step, each" : "phase by phase, each"));
    return read_json(folder_ / "x.json");
  };
  const std::vector<std::vector<std::string>> ways{
      {"--intra", "mpi"},
      {"--intra", "shared"},
      {"--exchange", "flat-device", "--packing", "none", "--reduction", "exact"}};
  for (const auto& way : ways) {
    const Json one = run("stage", way), two = run("batch", way);
    EXPECT_EQ(two["busiest_link_bytes"], one["busiest_link_bytes"]);
    EXPECT_EQ(two["cross_node_rows"], one["cross_node_rows"]);
    EXPECT_EQ(two["entries"], one["entries"]);
    EXPECT_LE(two["bound_by_phase_s"].get<double>(), one["bound_by_phase_s"].get<double>());
    EXPECT_GT(two["together_s"].get<double>(), 0);
    EXPECT_EQ(two["dispatch_s"].get<double>() + two["combine_s"].get<double>(), 0);
    EXPECT_EQ(one["together_s"].get<double>(), 0);
  }
}

// 200 tokens at home on two of three devices; the program checks all sums.
TEST_F(BenchExchange, DevicesOfANodeSendAsMuch) {
  write_trace(trace_, replayed_trace(40));
  const auto run = [&](const std::vector<std::string>& more) {
    std::vector<std::string> args =
        bench({"--topology", "2,1", "--homes", "first", "--rate", "1gbit"});
    *std::find(args.begin(), args.end(), "4") = "120";  // tokens a step
    args.insert(args.end(), more.begin(), more.end());
    const ProcessResult result = run_process(under_mpirun(3, args));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    const Json json = read_json(folder_ / "x.json");
    EXPECT_EQ(json["rows_handed_over"].get<int>() > 0,
              result.out.find("handed over inside nodes") != std::string::npos);
    return json;
  };
  const Json own = run({}), evened = run({"--even", "always", "--overlap", "batch"});
  EXPECT_EQ(own["rows_handed_over"], 0);
  EXPECT_GT(evened["rows_handed_over"].get<int>(), 0);
  EXPECT_EQ(own["cross_node_rows"], evened["cross_node_rows"]);
  EXPECT_EQ(own["entries"], evened["entries"]);
  EXPECT_EQ(own["busiest_link_bytes"], evened["busiest_link_bytes"]);
}

// Such weights come of routers that scale by 16.
TEST_F(BenchExchange, LargeWeightsHaveASumToo) {
  RoutingTrace trace = replayed_trace();
  for (std::size_t i = 0; i < trace.experts.size(); ++i)
    trace.weights.push_back(16 + static_cast<float>(i % 7) / 3);
  write_trace(trace_, trace);
  const ProcessResult result = run_process(under_mpirun(2, bench({"--topology", "2x1"})));
  EXPECT_EQ(result.exit_code, 0) << result.err;
}

TEST_F(BenchExchange, SharedMemoryTakesEachRowOnce) {
  const auto copies = [&](const std::string& intra) {
    const ProcessResult result =
        run_process(under_mpirun(3, bench({"--topology", "1x3", "--intra", intra})));
    EXPECT_EQ(result.exit_code, 0) << result.err;
    return read_json(folder_ / "x.json")["intra_row_copies"].get<int>();
  };
  const int shared = copies("shared"), messages = copies("mpi");
  EXPECT_LE(shared, 35 * 2) << "tokens x layers";
  EXPECT_GT(messages, shared);
}

TEST_F(BenchExchange, RefusesBeforeItRuns) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    const ProcessResult result = run_process(bench(more));
    EXPECT_EQ(result.exit_code, 2);
    return result.err;
  };
  EXPECT_THAT(refusal({"--exchange", "smoke"}), HasSubstr("smoke"));
  EXPECT_THAT(refusal({"--reduction", "bf16"}), HasSubstr("could not be checked to the bit"));
  EXPECT_THAT(refusal({"--overlap", "auto"}), HasSubstr("bench ladder measures auto"));
  EXPECT_THAT(refusal({"--packing", "tight"}), HasSubstr("one of none, sums"));
  EXPECT_THAT(refusal({"--packing", "auto"}), HasSubstr("none, sums, rows or all"));
  EXPECT_THAT(refusal({"--even", "auto"}), HasSubstr("none or always"));
  EXPECT_THAT(refusal({"--even", "odd"}), HasSubstr("one of none, auto, always"));
  EXPECT_THAT(refusal({"--homes", "last"}), HasSubstr("one of even, first"));
  EXPECT_THAT(refusal({"--preset", "best"}), HasSubstr("best"));
  EXPECT_THAT(refusal({"--rate", "-1"}), HasSubstr("--rate"));
  EXPECT_THAT(refusal({"--preset", "grace", "--plan", "p.json"}), HasSubstr("one of the two"));
  write_file(trace_, std::string_view("no trace"));
  EXPECT_THAT(refusal({}), HasSubstr("t.safetensors"));
}

}  // namespace
}  // namespace gracemoe
