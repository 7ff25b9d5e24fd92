#include "interop/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "interop/interop_data.h"
#include "interop/placement.h"
#include "support/error_of.h"
#include "support/temp_dir.h"
#include "trace/statistics.h"

namespace gracemoe {
namespace {

using testing::Contains;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

class ConvertTest : public testing::Test {
 protected:
  ConvertOptions options(const std::filesystem::path& in, const std::string& out) const {
    ConvertOptions o;
    o.inputs = {in};
    o.out = folder_ / out;
    return o;
  }
  std::vector<std::string> run(const ConvertOptions& o) { return convert(o); }
  TempDir folder_;
};

TEST(DetectFormat, EveryFileOfTheData) {
  const std::vector<std::pair<const char*, Format>> files{
      {"sglang_placement.json", Format::kSglang},
      {"sglang_counts.json", Format::kSglangCounts},
      {"sglang_stat.pt", Format::kSglangRecorder},
      {"sglang_token_rank0.pt", Format::kSglangRecorder},
      {"trtllm.yaml", Format::kTrtllm},
      {"trtllm_stats", Format::kTrtllmStats},
      {"vllm_mapping.jsonl", Format::kVllmMapping},
      {"vllm_loads.jsonl", Format::kVllmLoads},
      {"vllm_expert_map.json", Format::kVllmExpertMap},
      {"vllm_expert_ranks.json", Format::kVllmExpertRanks},
      {"vllm_ascend.json", Format::kVllmAscend},
      {"memra.txt", Format::kMemra},
  };
  for (const auto& [name, format] : files)
    EXPECT_EQ(detect_format(interop_data(name)), format) << name;
  EXPECT_THAT(error_of([] { detect_format(interop_data("routed_experts_0.bin")); }),
              HasSubstr("name it with --from"));
  EXPECT_THAT(error_of([] { detect_format(interop_data("make.py")); }), HasSubstr("--from"));
}

TEST(Formats, NamesAreUniqueAndParse) {
  for (const FormatInfo& format : all_formats()) {
    EXPECT_EQ(parse_format(format.name), format.format);
    EXPECT_THAT(format_list(), HasSubstr(format.name));
    EXPECT_STREQ(info(format.format).name, format.name);
  }
  EXPECT_THAT(error_of([] { parse_format(""); }, ErrorCategory::kUsage), HasSubstr("one of plan,"));
}

// Three slots on each of four devices: every expert once, then copies; other ones in each layer. Or
// two slots, the same in every layer.
Plan plan_of_equal_slots(Dice& dice, const Topology& topology, bool alike) {
  Plan plan = random_plan(dice, topology, 8, 3);
  for (auto& layer : plan.layers) {
    std::vector<std::set<int>> on(4);
    for (int e = 0; e < 8; ++e) {
      int device = dice.below(4);
      while (on[static_cast<std::size_t>(device)].size() == 2) device = (device + 1) % 4;
      on[static_cast<std::size_t>(device)].insert(e);
    }
    for (auto& experts : on)
      while (!alike && experts.size() < 3) experts.insert(dice.below(8));
    for (int e = 0; e < 8; ++e) {
      auto& instances = layer.experts[static_cast<std::size_t>(e)];
      instances.clear();
      for (int d = 0; d < 4; ++d)
        if (on[static_cast<std::size_t>(d)].count(e) > 0) instances.push_back({d, 1.0});
    }
    if (alike) layer = plan.layers[0];
  }
  return plan;
}

TEST_F(ConvertTest, APlanGoesThroughEveryFormatAndBack) {
  Dice dice(2);
  const Topology topology = Topology::grid(2, 2);
  for (const Format format :
       {Format::kSglang, Format::kTrtllm, Format::kVllmMapping, Format::kVllmExpertMap,
        Format::kVllmExpertRanks, Format::kVllmAscend}) {
    // One map for all layers, without copies, is all that this one can say.
    const bool alike = format == Format::kVllmExpertRanks;
    const Plan plan = plan_of_equal_slots(dice, topology, alike);
    EXPECT_EQ(plan.copies(), alike ? 0 : 3 * 4);
    write_plan(folder_ / "plan.json", plan);
    ConvertOptions to = options(folder_ / "plan.json", "there");
    to.to = format;
    convert(to);
    ConvertOptions back = options(folder_ / "there", "back.json");
    back.topology = topology;
    back.top_k = 2;
    back.layers = 3;
    convert(back);
    const Plan read = read_plan(folder_ / "back.json");
    ASSERT_EQ(read.layers.size(), 3U);
    for (std::size_t l = 0; l < 3; ++l)
      EXPECT_EQ(read.layers[l].experts, plan.layers[l].experts) << info(format).name;
  }
}

TEST_F(ConvertTest, UnevenPlansArePaddedAndSayWhatItCosts) {
  Plan plan = random_plan(*std::make_unique<Dice>(4), Topology::grid(2, 2), 8, 2);
  plan.layers[0].experts[0] = {{1, 2.0}, {0, 1.0}};
  write_plan(folder_ / "plan.json", plan);
  ConvertOptions o = options(folder_ / "plan.json", "out.json");
  o.to = Format::kVllmAscend;
  o.slots = 32;
  o.expert_bytes = 1'000'000;
  const auto lines = convert(o);
  const SlotPlacement before = from_plan(plan);
  const std::int64_t added = 64 - before.instances();
  EXPECT_THAT(lines, Contains(HasSubstr(std::to_string(added) + " further instances added")));
  EXPECT_THAT(lines, Contains(HasSubstr(std::to_string(added) + ".0 MB over all devices")));
  EXPECT_THAT(lines, Contains(HasSubstr("polling weights")));
  EXPECT_THAT(lines, Contains(HasSubstr("which instance is the primary, for 1 expert")));
}

TEST_F(ConvertTest, OneSystemsSlotsKeepTheirOrderInAnothers) {
  ConvertOptions o = options(interop_data("trtllm.yaml"), "out.json");
  o.to = Format::kSglang;
  o.choice.hidden = 4;
  EXPECT_THAT(convert(o), Contains(HasSubstr("written as the model's layers 1-2 of 4")));
  o = options(folder_ / "out.json", "back.yaml");
  o.to = Format::kTrtllm;
  o.choice.moe_layers = {1, 2};
  convert(o);
  EXPECT_EQ(read_file(folder_ / "back.yaml"), interop_text("trtllm.yaml"));
}

TEST_F(ConvertTest, PaddingGoesByTheTraceOrTheStatistics) {
  Dice dice(6);
  const RoutingTrace trace = skewed_trace(dice, 50, 8, 2, 2);
  write_trace(folder_ / "trace", trace);
  write_statistics(folder_ / "stats", count_statistics(trace));
  write_plan(folder_ / "plan.json", random_plan(dice, Topology::grid(2, 2), 8, 2));
  ConvertOptions o = options(folder_ / "plan.json", "out.json");
  o.to = Format::kSglang;
  o.evidence = folder_ / "trace";
  EXPECT_THAT(convert(o), Contains(HasSubstr("by the node visits they save on the trace")));
  o.evidence = folder_ / "stats";
  EXPECT_THAT(convert(o), Contains(HasSubstr("by load per instance")));
  o.evidence = folder_ / "plan.json";
  EXPECT_THAT(error_of([&] { convert(o); }), HasSubstr("wanted a routing trace or statistics"));
}

TEST_F(ConvertTest, SaysWhereTheTraceIsOfAnotherCheckpoint) {
  Dice dice(6);
  RoutingTrace trace = skewed_trace(dice, 50, 8, 2, 2);
  trace.fingerprint = "4567";
  write_trace(folder_ / "trace", trace);
  write_statistics(folder_ / "stats", count_statistics(trace));
  Plan plan = random_plan(dice, Topology::grid(2, 2), 8, 2);
  plan.fingerprint = "0123";
  write_plan(folder_ / "plan.json", plan);
  ConvertOptions o = options(folder_ / "plan.json", "out.json");
  o.to = Format::kSglang;
  EXPECT_THAT(convert(o), Not(Contains(HasSubstr("warning"))));
  for (const char* evidence : {"trace", "stats"}) {
    o.evidence = folder_ / evidence;
    EXPECT_THAT(convert(o), Contains(ContainsRegex("warning: .*plan.json is a plan for .*0123.*" +
                                                   std::string(evidence) + " is of .*4567")));
  }
  o.evidence.clear();
  o.fingerprint = "89ab";
  EXPECT_THAT(convert(o), Contains(HasSubstr("the model folder is of ")));
}

TEST_F(ConvertTest, CopiesAreDroppedWhereTheFormatHasNone) {
  Plan plan;
  plan.num_experts = 4;
  plan.top_k = 1;
  plan.topology = Topology::grid(1, 2);
  plan.layers.resize(2);
  for (auto& layer : plan.layers)
    layer.experts = {{{1, 1.0}, {0, 1.0}}, {{1, 1.0}}, {{0, 1.0}}, {{0, 1.0}, {1, 1.0}}};
  plan.layers[1].experts[0] = {{0, 1.0}};
  plan.layers[1].experts[3] = {{1, 1.0}};
  write_plan(folder_ / "plan.json", plan);
  ConvertOptions o = options(folder_ / "plan.json", "out.json");
  o.to = Format::kVllmExpertRanks;
  EXPECT_THAT(error_of([&] { convert(o); }), HasSubstr("--layer"));
  o.layer = 0;
  EXPECT_THAT(convert(o), Contains(HasSubstr("not carried: 2 further instances")));
  EXPECT_EQ(read_file(folder_ / "out.json"), "{\"expert_to_ep_rank\":[1,1,0,0]}\n");
}

TEST_F(ConvertTest, LoadsOfEverySystemBecomeStatistics) {
  for (const char* name : {"sglang_counts.json", "sglang_stat.pt", "sglang_pass.pt", "trtllm_stats",
                           "vllm_loads.jsonl"}) {
    ConvertOptions o = options(interop_data(name), "stats");
    if (std::string_view(name) != "trtllm_stats") {
      EXPECT_THAT(error_of([&] { convert(o); }, ErrorCategory::kUsage), HasSubstr("--top-k K"))
          << name;
      o.top_k = 2;
    }
    EXPECT_THAT(convert(o), Contains(HasSubstr("plans can go by load only"))) << name;
    const RoutingStatistics read = read_statistics(folder_ / "stats");
    EXPECT_EQ(read.layers, 2);
    EXPECT_EQ(read.num_experts, 8);
    EXPECT_EQ(read.top_k, 2);
    EXPECT_TRUE(read.affinity.empty());
  }
}

TEST_F(ConvertTest, StatisticsGoToEverySystemAndBack) {
  Dice dice(9);
  const RoutingStatistics want = count_statistics(skewed_trace(dice, 60, 8, 2, 2));
  write_statistics(folder_ / "stats", want);
  for (const Format format :
       {Format::kSglangCounts, Format::kTrtllmStats, Format::kVllmLoads, Format::kStats}) {
    ConvertOptions to = options(folder_ / "stats", info(format).name);
    to.to = format;
    to.choice.first_dense = 3;
    convert(to);
    ConvertOptions back = options(folder_ / info(format).name, "back");
    back.to = Format::kStats;
    back.top_k = 2;
    convert(back);
    EXPECT_EQ(read_statistics(folder_ / "back").load, want.load) << info(format).name;
  }
}

TEST_F(ConvertTest, TokensBecomeATrace) {
  ConvertOptions o = options(interop_data("sglang_token_rank0.pt"), "trace");
  o.inputs.push_back(interop_data("sglang_token_rank1.pt"));
  o.model = "toy";
  EXPECT_THAT(convert(o), Contains(HasSubstr("13 tokens in 3 sequences")));
  const RoutingTrace trace = read_trace(folder_ / "trace");
  EXPECT_EQ(trace.model, "toy");
  o = options(folder_ / "trace", "memra");
  o.to = Format::kMemra;
  convert(o);
  o = options(folder_ / "memra", "again");
  o.num_experts = 8;
  convert(o);
  EXPECT_EQ(read_trace(folder_ / "again").experts, trace.experts);
  EXPECT_EQ(read_trace(folder_ / "again").sequence, trace.sequence);
  o = options(folder_ / "trace", "counts");
  o.to = Format::kStats;
  convert(o);
  EXPECT_EQ(read_statistics(folder_ / "counts").load, count_statistics(trace).load);
}

TEST_F(ConvertTest, RoutedExpertsAreASequenceARequest) {
  ConvertOptions o = options(interop_data("routed_experts_0.bin"), "trace");
  o.inputs.push_back(interop_data("routed_experts_1.txt"));
  o.from = Format::kRoutedExperts;
  o.layers = 2;
  o.top_k = 2;
  o.num_experts = 8;
  EXPECT_THAT(convert(o), Contains(HasSubstr("10 tokens in 2 sequences")));
  EXPECT_EQ(read_trace(folder_ / "trace").layers, 2);
}

TEST_F(ConvertTest, LoadsOfSeveralFilesAreAdded) {
  ConvertOptions o = options(interop_data("sglang_counts.json"), "once");
  o.to = Format::kSglangCounts;
  convert(o);
  o.inputs.push_back(interop_data("sglang_counts.json"));
  o.out = folder_ / "twice";
  convert(o);
  const auto load = [&](const char* name) {
    ConvertOptions to = options(folder_ / name, "stats");
    to.top_k = 2;
    convert(to);
    return read_statistics(folder_ / "stats").load;
  };
  const auto once = load("once");
  const auto twice = load("twice");
  for (std::size_t i = 0; i < once.size(); ++i) EXPECT_EQ(twice[i], 2 * once[i]);
}

TEST_F(ConvertTest, Refuses) {
  const auto usage = [](const ConvertOptions& o) {
    return error_of([&] { convert(o); }, ErrorCategory::kUsage);
  };
  ConvertOptions o = options(interop_data("sglang_placement.json"), "out");
  EXPECT_THAT(usage(o), HasSubstr("--nodes N --devices G"));
  o.topology = Topology::grid(1, 5);
  EXPECT_THAT(usage(o), HasSubstr("wanted --top-k K"));
  o.top_k = 9;
  EXPECT_THAT(usage(o), HasSubstr("got 9, wanted at most 8"));
  o.to = Format::kStats;
  EXPECT_THAT(usage(o), HasSubstr("from sglang to stats: got a placement"));
  o.to = Format::kSglangRecorder;
  EXPECT_THAT(usage(o), HasSubstr("read only"));
  o.to = Format::kSglang;
  o.inputs.push_back(interop_data("sglang_placement.json"));
  EXPECT_THAT(usage(o), HasSubstr("2 placements"));
  o.inputs[1] = interop_data("memra.txt");
  EXPECT_THAT(error_of([&] { convert(o); }), HasSubstr("got memra, wanted sglang"));
  o = options(interop_data("sglang_counts.json"), "out");
  o.to = Format::kPlan;
  EXPECT_THAT(usage(o), HasSubstr("gracemoe plan --trace"));
  o.to = Format::kTrace;
  EXPECT_THAT(error_of([&] { convert(o); }), HasSubstr("got loads only"));
  o.to = Format::kSglangCounts;
  o.num_experts = 9;
  EXPECT_THAT(usage(o), HasSubstr("--num-experts: got 9, wanted 8"));
  o.out = folder_ / "no/such/folder";
  EXPECT_THAT(error_of([&] { convert(o); }, ErrorCategory::kOutput), HasSubstr("no/such"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "out"));
}

}  // namespace
}  // namespace gracemoe
