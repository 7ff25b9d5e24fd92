// Statistics and token files of other systems.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "base/json.h"
#include "base/safetensors.h"
#include "interop/interop_data.h"
#include "interop/sglang.h"
#include "interop/tensorrt_llm.h"
#include "interop/token_lists.h"
#include "interop/vllm.h"
#include "support/error_of.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Sums [batches][layers][experts] over the batches, layer after layer, from `first` on.
std::vector<double> summed(const Json& batches, std::size_t first) {
  std::vector<double> sum;
  for (std::size_t l = first; l < batches[0].size(); ++l)
    for (std::size_t e = 0; e < batches[0][l].size(); ++e) {
      sum.push_back(0);
      for (const Json& batch : batches) sum.back() += batch[l][e].get<double>();
    }
  return sum;
}

TEST(SglangCounts, BatchesAreSummedAndEmptyLayersAreDense) {
  const std::string text = interop_text("sglang_counts.json");
  const Loads loads = read_sglang_counts(text, "f", {});
  EXPECT_EQ(loads.numbers, (LayerNumbers{{1, 2}, 3}));
  EXPECT_EQ(loads.statistics.num_experts, 8);
  EXPECT_EQ(loads.statistics.load, summed(Json::parse(text)["logical_count"], 1));
  EXPECT_TRUE(loads.statistics.affinity.empty());
  const Loads back =
      read_sglang_counts(sglang_counts_text(loads.statistics, loads.numbers), "f", {});
  EXPECT_EQ(back.statistics.load, loads.statistics.load);
  EXPECT_EQ(back.numbers, loads.numbers);
}

TEST(SglangCounts, AChosenLayerMayBeEmpty) {
  const Loads loads =
      read_sglang_counts(interop_text("sglang_counts.json"), "f", {.moe_layers = {0, 2}});
  EXPECT_EQ(loads.statistics.layers, 2);
  EXPECT_EQ(loads.statistics.load[0], 0);
}

TEST(SglangCounts, Refuses) {
  const auto error = [](const std::string& counts) {
    return error_of([&] { read_sglang_counts("{\"logical_count\": " + counts + "}", "f", {}); });
  };
  EXPECT_THAT(error("[[0, 0]]"), HasSubstr("no MoE layer among them"));
  EXPECT_THAT(error("[[1, 0], [1]]"), HasSubstr("layer 1: got 1 experts, wanted 2"));
  EXPECT_THAT(error("[[1, -2]]"), HasSubstr("logical_count[0][1]: got -2"));
  EXPECT_THAT(error("[[1, 1e300]]"), HasSubstr("finite"));
  EXPECT_THAT(error("[]"), HasSubstr("no layer"));
  EXPECT_THAT(error("[[]]"), HasSubstr("no expert"));
  EXPECT_THAT(error("[[[1, 2]], [[1, 2], [3, 4]]]"), HasSubstr("[1]: got 2 layers, wanted 1"));
  EXPECT_THAT(error("[[[1, 2]], [[1]]]"), HasSubstr("got 1 experts, wanted 2"));
  EXPECT_THAT(error("{}"), HasSubstr("one list a layer"));
}

TEST(TrtllmStatistics, RanksAndIterationsAreSummed) {
  const Loads loads = read_trtllm_statistics(interop_data("trtllm_stats"));
  EXPECT_EQ(loads.numbers.absolute, (std::vector{1, 2}));
  EXPECT_EQ(loads.statistics.top_k, 2);
  std::vector<double> want(16);
  for (const char* rank : {"rank0", "rank1"}) {
    const SafetensorsFile file(interop_data(std::string("trtllm_stats/") + rank + ".safetensors"));
    for (const auto& [name, tensor] : file.tensors()) {
      const auto counts = tensor.as<std::int64_t>();
      for (std::size_t e = 0; e < 8; ++e)
        want[(name.back() == '2' ? 8 : 0) + e] += static_cast<double>(counts[e]);
    }
  }
  EXPECT_EQ(loads.statistics.load, want);
}

TEST(TrtllmStatistics, WrittenAndReadBack) {
  const TempDir folder;
  const Loads loads = read_trtllm_statistics(interop_data("trtllm_stats"));
  write_trtllm_statistics(folder / "out", loads.statistics, loads.numbers);
  const Loads back = read_trtllm_statistics(folder / "out");
  EXPECT_EQ(back.statistics.load, loads.statistics.load);
  EXPECT_EQ(back.numbers, loads.numbers);
  std::filesystem::copy(folder / "out" / "rank0.safetensors", folder / "out" / "rank1.safetensors");
  EXPECT_THAT(
      error_of([&] { write_trtllm_statistics(folder / "out", loads.statistics, loads.numbers); },
               ErrorCategory::kOutput),
      HasSubstr("rank1.safetensors there"));
}

TEST(TrtllmStatistics, Refuses) {
  const TempDir folder;
  const auto error = [&] { return error_of([&] { read_trtllm_statistics(folder.path()); }); };
  EXPECT_THAT(error(), HasSubstr("meta_info.json"));
  write_file(folder / "meta_info.json",
             std::string_view(R"({"num_experts": 2, "num_experts_per_token": 1})"));
  EXPECT_THAT(error(), HasSubstr("got no counts"));
  const std::vector<std::int64_t> counts{1, -2};
  const auto write = [&](const std::string& tensor) {
    write_safetensors(folder / "rank0.safetensors",
                      {{tensor, {DType::kI64, {2}, std::as_bytes(std::span(counts))}}}, {});
  };
  for (const char* name : {"3", "_3", "1_", "1_x", "x_1", "1_4096", "1_2_3", "-1_2"}) {
    write(name);
    EXPECT_THAT(error(), HasSubstr("<iteration>_<layer>")) << name;
  }
  write("7_3");
  EXPECT_THAT(error(), HasSubstr("got -2, wanted counts of at least 0"));
  write_file(folder / "meta_info.json",
             std::string_view(R"({"num_experts": 3, "num_experts_per_token": 1})"));
  EXPECT_THAT(error(), HasSubstr("wanted I64 [3]"));
  write_file(folder / "meta_info.json",
             std::string_view(R"({"num_experts": 3, "num_experts_per_token": 4})"));
  EXPECT_THAT(error(), HasSubstr("num_experts_per_token: got 4"));
}

TEST(VllmLoads, SlotsAreFoldedAndStepsSummed) {
  const std::string text = interop_text("vllm_loads.jsonl");
  const Loads loads = read_vllm_loads(text, "f");
  EXPECT_EQ(loads.statistics.model, "toy");
  EXPECT_EQ(loads.devices, 5);
  EXPECT_EQ(loads.nodes, 1);
  std::vector<double> want(16);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const Json record = Json::parse(line);
    if (!record.contains("expert_load")) continue;
    for (std::size_t l = 0; l < 2; ++l)
      for (std::size_t s = 0; s < 10; ++s)
        want[l * 8 + static_cast<std::size_t>(data_rows()[l][s])] +=
            record["expert_load"][l][s].get<double>();
  }
  EXPECT_EQ(loads.statistics.load, want);
  const Loads back = read_vllm_loads(vllm_loads_text(loads.statistics, 1, 5), "f");
  EXPECT_EQ(back.statistics.load, want);
  EXPECT_EQ(back.statistics.model, "toy");
}

TEST(VllmLoads, Refuses) {
  const auto error = [](const std::string& rest) {
    return error_of([&] {
      read_vllm_loads("{\"record_type\": \"eplb_load_stats\", \"version\": 1, " + rest + "}", "f");
    });
  };
  EXPECT_EQ(error(R"("expert_load": [[1, 2]], "p2l_map": [[0, 1]])"), "");
  EXPECT_THAT(error(R"("expert_load": [[1, 2]])"), HasSubstr("p2l_map: got nothing"));
  EXPECT_THAT(error(R"("expert_load": [[1, 2]], "p2l_map": [[0]])"),
              HasSubstr("got 2 slots, wanted 1"));
  EXPECT_THAT(error(R"("expert_load": [], "p2l_map": [[0]])"), HasSubstr("got 0 layers, wanted 1"));
  EXPECT_THAT(error(R"("expert_load": [[1]], "p2l_map": [[60000]])"),
              HasSubstr("experts below the number of slots"));
  EXPECT_THAT(error_of([] { read_vllm_loads("{\"record_type\": \"other\"}", "f"); }),
              HasSubstr("got no step"));
  EXPECT_THAT(error_of([] { read_vllm_loads("{}", "f"); }), HasSubstr("record_type"));
}

TEST(AddLoads, ShapesMustAgree) {
  Loads a = read_sglang_counts(R"({"logical_count": [[1, 2]]})", "a", {});
  const Loads b = read_sglang_counts(R"({"logical_count": [[1, 2], [3, 4]]})", "b", {});
  EXPECT_THAT(error_of([&] { add_loads(a, b, "b"); }), HasSubstr("b: got 2 layers of 2 experts"));
  add_loads(a, a, "a");
  EXPECT_THAT(a.statistics.load, ElementsAre(2, 4));
}

TEST(MakeWhole, KeepsProportions) {
  RoutingStatistics statistics;
  statistics.load = {1, 2};
  EXPECT_EQ(make_whole(statistics), 1);
  statistics.load = {0.25, 0.5};
  EXPECT_EQ(make_whole(statistics), 1e7);
  EXPECT_THAT(statistics.load, ElementsAre(2.5e6, 5e6));
  statistics.load = {1e-300, 0};
  make_whole(statistics);
  EXPECT_THAT(statistics.load, ElementsAre(0, 0));
}

TEST(Memra, TokensByLayer) {
  const std::string text = "3 2 1,2,0,5\n4 2 7,6,5,4\n3 1 0,5\n4 1 1,3\n";
  const Tokens tokens = read_memra_tokens(text, "f", 0);
  EXPECT_EQ(tokens.numbers.absolute, (std::vector{3, 4}));
  EXPECT_EQ(tokens.trace.top_k, 2);
  EXPECT_EQ(tokens.trace.num_experts, 8);
  EXPECT_THAT(tokens.trace.sequence, ElementsAre(0, 0, 1));
  EXPECT_THAT(tokens.trace.experts, ElementsAre(1, 2, 7, 6, 0, 5, 5, 4, 0, 5, 1, 3));
  EXPECT_EQ(memra_text(tokens.trace, tokens.numbers), text);
}

TEST(Memra, LayersOfSeveralLengthsAreLoadsOnly) {
  const std::string text = "3 1 0,5\n3 2 1,2,0,5\n4 1 7,6\n";
  const Loads loads = read_memra_loads(text, "f", 10);
  EXPECT_EQ(loads.statistics.num_experts, 10);
  EXPECT_THAT(loads.statistics.layer_load(0), ElementsAre(2, 1, 1, 0, 0, 2, 0, 0, 0, 0));
  EXPECT_EQ(loads.statistics.layer_affinity(0)[5], 2);
  EXPECT_EQ(loads.statistics.layer_affinity(1)[67], 1);
  EXPECT_THAT(error_of([&] { read_memra_tokens(text, "f", 0); }),
              HasSubstr("layer 4: got 1 tokens, wanted 3, as layer 3 has"));
}

TEST(Memra, LinesThatDifferBetweenLayersAreOneSequence) {
  EXPECT_THAT(read_memra_tokens("3 2 0,1\n4 1 0\n4 1 1\n", "f", 0).trace.sequence,
              ElementsAre(0, 0));
}

TEST(Memra, Refuses) {
  const auto error = [](const std::string& text) {
    return error_of([&] { read_memra_loads(text, "f", 0); });
  };
  EXPECT_THAT(error(""), HasSubstr("no line"));
  for (const char* line : {"3", "3 1", "3 1 ", "x 1 0", "3 1 0,,1", "3 1 0;1", "3  1 0", "-1 1 0",
                           "3 0 0", "3 1 65535", "4096 1 0", "99999999999 1 0"})
    EXPECT_THAT(error(line), HasSubstr("f: line 1")) << line;
  EXPECT_THAT(error("3 2 0,1,2"), HasSubstr("3 ids for 2 tokens"));
  EXPECT_THAT(error("3 1 0,1\n3 1 0"), HasSubstr("line 2: got 1 ids for 1 tokens, wanted 2"));
  EXPECT_THAT(error("3 1 4,4"), HasSubstr("expert 4 twice"));
  EXPECT_THAT(error_of([] { read_memra_loads("3 1 4", "f", 4); }), HasSubstr("experts below 4"));
  std::string wide;
  for (int layer = 0; layer < 10; ++layer) wide += std::to_string(layer) + " 1 60000\n";
  EXPECT_THAT(error(wide), HasSubstr("at most 2^29 pairs"));
}

TEST(RoutedExperts, RawAndBase64AreTheSame) {
  const auto read = [](const std::string& ending) {
    return read_routed_experts(
        {interop_text("routed_experts_0" + ending), interop_text("routed_experts_1" + ending)},
        {"a", "b"}, {.layers = 2, .top_k = 2, .num_experts = 8}, {});
  };
  const Tokens raw = read(".bin");
  EXPECT_THAT(raw.trace.sequence, ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 1, 1));
  EXPECT_EQ(raw.trace.experts.size(), 40U);
  EXPECT_EQ(read(".txt").trace.experts, raw.trace.experts);
}

TEST(RoutedExperts, DenseLayersAreLeftOut) {
  const std::string bytes("\0\0\0\0\1\0\2\0", 8);  // layer 0: 0, 0; layer 1: 1, 2
  const Tokens tokens =
      read_routed_experts({bytes}, {"a"}, {.layers = 2, .top_k = 2}, {.moe_layers = {1}});
  EXPECT_THAT(tokens.trace.experts, ElementsAre(1, 2));
  EXPECT_EQ(tokens.trace.num_experts, 3);
  EXPECT_THAT(error_of([&] { read_routed_experts({bytes}, {"a"}, {.layers = 2, .top_k = 2}, {}); }),
              HasSubstr("token 0, layer 0: got expert 0 twice"));
}

TEST(RoutedExperts, Refuses) {
  const auto error = [](const std::string& bytes, const RoutedExpertsShape& shape) {
    return error_of([&] { read_routed_experts({bytes}, {"a"}, shape, {}); });
  };
  const std::string one("\1\0", 2);
  EXPECT_EQ(error(one, {.layers = 1, .top_k = 1}), "");
  EXPECT_THAT(error(one, {.layers = 1, .top_k = 2}), HasSubstr("a multiple of 4"));
  EXPECT_THAT(error("", {.layers = 1, .top_k = 1}), HasSubstr("got 0 bytes"));
  EXPECT_THAT(error("\xff\xff", {.layers = 1, .top_k = 1}), HasSubstr("expert -1"));
  EXPECT_THAT(error(one, {.layers = 1, .top_k = 1, .num_experts = 1}),
              HasSubstr("got expert 1, wanted distinct experts from 0 to 0"));
  EXPECT_THAT(error_of([&] { read_routed_experts({one}, {"a"}, {}, {}); }, ErrorCategory::kUsage),
              HasSubstr("--layers N and --top-k K"));
}

}  // namespace
}  // namespace gracemoe
