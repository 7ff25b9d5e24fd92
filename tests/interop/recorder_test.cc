#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "interop/interop_data.h"
#include "interop/recorder_sequences.h"
#include "interop/sglang.h"
#include "interop/sglang_recorder.h"
#include "interop/torch_builder.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

using Numbers = std::vector<std::int64_t>;

TEST(SequenceBuilder, DecodingContinuesWhatPrefillBegan) {
  SequenceBuilder builder;
  const Numbers parts{3, 2};
  const Numbers positions{0, 1, 2, 0, 1};
  EXPECT_THAT(builder.add({0, parts, positions}), ElementsAre(0, 1));
  const Numbers ones{1, 1};
  EXPECT_THAT(builder.add({0, ones, Numbers{3, 2}}), ElementsAre(0, 1));
  EXPECT_THAT(builder.add({0, ones, Numbers{3, 4}}), ElementsAre(1, 0));
  EXPECT_THAT(builder.add({1, ones, Numbers{4, 5}}), ElementsAre(2, 3)) << "another rank's";
  EXPECT_EQ(builder.count(), 4);
}

TEST(SequenceBuilder, EqualPositionsKeepTheBatchsOrderAndEndedOnesAreLast) {
  SequenceBuilder builder;
  const Numbers one{1};
  EXPECT_THAT(builder.add({0, one, Numbers{0}}), ElementsAre(0));  // ends here
  const Numbers two{1, 1};
  EXPECT_THAT(builder.add({0, two, Numbers{0, 0}}), ElementsAre(1, 2));
  EXPECT_THAT(builder.add({0, two, Numbers{1, 1}}), ElementsAre(1, 2));
  EXPECT_THAT(builder.add({0, one, Numbers{1}}), ElementsAre(0)) << "the only one left";
  // A part does not continue another part of the same pass.
  EXPECT_THAT(builder.add({0, two, Numbers{7, 8}}), ElementsAre(3, 4));
}

TEST(SequenceBuilder, WithoutPositionsEveryPartIsASequence) {
  SequenceBuilder builder;
  EXPECT_THAT(builder.add({0, Numbers{2, 0, 1}, {}}), ElementsAre(0, 1, 2));
  EXPECT_THAT(builder.add({0, Numbers{1}, {}}), ElementsAre(3));
}

std::vector<TorchFile> files_of(const std::vector<std::string>& names) {
  std::vector<TorchFile> files;
  for (const std::string& name : names) files.emplace_back(interop_data(name));
  return files;
}

TEST(Recorder, StatIsTheSumOfItsBuffers) {
  const auto files = files_of({"sglang_stat.pt"});
  EXPECT_FALSE(recorder_has_tokens(files));
  const Loads loads = read_recorder_loads(files, {});
  const Loads want = read_sglang_counts(interop_text("sglang_counts.json"), "f", {});
  EXPECT_EQ(loads.statistics.load, want.statistics.load);
  EXPECT_EQ(loads.numbers, (LayerNumbers{{1, 2}, 3}));
}

TEST(Recorder, TokensOfSeveralRanks) {
  const auto files = files_of({"sglang_token_rank0.pt", "sglang_token_rank1.pt"});
  EXPECT_TRUE(recorder_has_tokens(files));
  const RecorderTokens read = read_recorder_tokens(files, {}, 0);
  const RoutingTrace& trace = read.tokens.trace;
  EXPECT_EQ(read.repeated, 0);
  EXPECT_EQ(read.tokens.numbers, (LayerNumbers{{1, 2}, 3}));
  EXPECT_EQ(trace.num_experts, 8);
  EXPECT_EQ(trace.top_k, 2);
  EXPECT_EQ(trace.phase, "mixed");
  // Rank 0's sequences of 3 and 2 tokens with two decoding steps each, then rank 1's.
  EXPECT_THAT(trace.sequence, ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2));
}

// The recorder's own counts of slots, folded, are those of the tokens.
TEST(Recorder, PassesCountWhatTokensDo) {
  const RecorderTokens tokens = read_recorder_tokens(files_of({"sglang_token_rank0.pt"}), {}, 0);
  const auto passes = files_of({"sglang_pass.pt"});
  EXPECT_FALSE(recorder_has_tokens(passes));
  const Loads loads = read_recorder_loads(passes, {});
  EXPECT_EQ(loads.statistics.load, count_statistics(tokens.tokens.trace).load);
}

// A dump with one record of one layer over the map [0, 1, 1].
struct DumpParts {
  std::vector<int> topk{0, 1};  // [tokens][1]
  int width = 1;
  int forward_pass = 0, rank = 0;
  std::vector<int> map{0, 1, 1};
  std::string parts = "N", positions = "N";
  int times = 1;  // how often the record is listed
};
std::string dump_of(const DumpParts& p) {
  const int tokens = static_cast<int>(p.topk.size()) / p.width;
  const auto slots = static_cast<int>(p.map.size());
  const std::vector<std::int64_t> topk(p.topk.begin(), p.topk.end());
  const std::vector<std::int64_t> map(p.map.begin(), p.map.end());
  const std::string record =
      py_dict({{"forward_pass_id", py_int(p.forward_pass)},
               {"rank", py_int(p.rank)},
               {"extend_seq_lens", p.parts},
               {"positions", p.positions},
               {"topk_ids_of_layer", py_tensor({.elements = static_cast<int>(topk.size()),
                                                .shape = {1, tokens, p.width},
                                                .strides = {tokens * p.width, p.width, 1}})}});
  const std::string root = py_dict(
      {{"records", py_list(std::vector<std::string>(static_cast<std::size_t>(p.times), record))},
       {"last_physical_to_logical_map",
        py_tensor({.key = "1", .elements = slots, .shape = {1, slots}, .strides = {slots, 1}})}});
  return zip_of({{"x/data.pkl", py_file(root)},
                 {"x/data/0", bytes_of_list(topk)},
                 {"x/data/1", bytes_of_list(map)}});
}

RecorderTokens read_dumps(const std::vector<DumpParts>& dumps, const LayerChoice& choice = {}) {
  std::vector<std::string> texts;
  for (const DumpParts& dump : dumps) texts.push_back(dump_of(dump));
  std::vector<TorchFile> files;
  for (const std::string& text : texts) files.emplace_back(view_of(text), "f");
  return read_recorder_tokens(files, choice, 0);
}

TEST(Recorder, SlotsAreFoldedAndPadsDropped) {
  const RecorderTokens read = read_dumps({{.topk = {2, -1, 0, -1, -1, -1}, .width = 2}});
  EXPECT_THAT(read.tokens.trace.experts, ElementsAre(1, 0));
  EXPECT_EQ(read.tokens.trace.top_k, 1);
  EXPECT_EQ(read.pads, 1);
}

TEST(Recorder, WhatTwoRanksRecordedIsTakenOnce) {
  const DumpParts rank0;
  DumpParts rank1;
  rank1.rank = 1;
  rank1.topk = {0, 2};  // another copy of the same expert
  const RecorderTokens read = read_dumps({rank0, rank1});
  EXPECT_EQ(read.tokens.trace.tokens(), 2);
  EXPECT_EQ(read.repeated, 2);
  rank1.forward_pass = 1;
  EXPECT_EQ(read_dumps({rank0, rank1}).tokens.trace.tokens(), 4) << "another pass";
}

TEST(Recorder, PartsAreSequences) {
  const auto sequence = [](const std::string& parts, const std::string& positions) {
    return read_dumps({{.topk = {0, 1, 0}, .parts = parts, .positions = positions}})
        .tokens.trace.sequence;
  };
  const std::string counting = py_ints({0, 1, 2}, false);
  EXPECT_THAT(sequence(py_ints({1, 2}, false), counting), ElementsAre(0, 1, 1));
  EXPECT_THAT(sequence("N", counting), ElementsAre(0, 1, 2)) << "decoding";
  EXPECT_THAT(sequence(py_ints({1, 1}, false), counting), ElementsAre(0, 0, 0)) << "sum is not 3";
  EXPECT_THAT(sequence(py_ints({-1, 4}, false), counting), ElementsAre(0, 0, 0));
  EXPECT_THAT(sequence("N", "N"), ElementsAre(0, 0, 0));
}

TEST(Recorder, Refuses) {
  const auto error = [](const std::vector<DumpParts>& dumps) {
    return error_of([&] { read_dumps(dumps); });
  };
  EXPECT_EQ(error({{}}), "");
  EXPECT_THAT(error({{}, {}}), HasSubstr("forward pass 0 of rank 0 a second time"));
  EXPECT_THAT(error({{.times = 2}}), HasSubstr("records[1]"));
  EXPECT_THAT(error({{.topk = {0, 3}}}), HasSubstr("token 1: got slot 3, wanted slots below 3"));
  EXPECT_THAT(error({{.topk = {0, -2}}}), HasSubstr("slot -2"));
  EXPECT_THAT(error({{.topk = {1, 2}, .width = 2}}), HasSubstr("expert 1 twice"));
  EXPECT_THAT(error({{.topk = {0, 1, 0, -1}, .width = 2}}), HasSubstr("got 1 experts, wanted 2"));
  EXPECT_THAT(error({{.topk = {-1}}}), HasSubstr("no MoE layer"));
  EXPECT_THAT(error({{.map = {0, 3}}}), HasSubstr("got expert 3, wanted experts from 0 to 1"));
  EXPECT_THAT(error({{.map = {0, -1}}}), HasSubstr("got expert -1"));
  EXPECT_THAT(error({{.positions = py_int(3)}}), HasSubstr("positions: got 3, wanted a list"));
  const std::string none = zip_of({{"x/data.pkl", py_file(py_dict({{"records", "]"}}))}});
  const std::string other = zip_of({{"x/data.pkl", py_file("}")}});
  const auto kind_error = [](const std::string& text) {
    const std::vector<TorchFile> files = [&] {
      std::vector<TorchFile> made;
      made.emplace_back(view_of(text), "f");
      return made;
    }();
    return error_of([&] { recorder_has_tokens(files); });
  };
  EXPECT_THAT(kind_error(none), HasSubstr("records: got an empty list"));
  EXPECT_THAT(kind_error(other), HasSubstr("neither logical_count nor records"));
}

TEST(Recorder, StatRefuses) {
  const auto error = [](const TensorParts& tensor, const std::vector<std::int64_t>& counts) {
    const std::string text =
        zip_of({{"x/data.pkl", py_file(py_dict({{"logical_count", py_tensor(tensor)}}))},
                {"x/data/0", bytes_of_list(counts)}});
    return error_of([&] {
      std::vector<TorchFile> files;
      files.emplace_back(view_of(text), "f");
      read_recorder_loads(files, {});
    });
  };
  EXPECT_EQ(error({.elements = 2, .shape = {1, 1, 2}, .strides = {2, 2, 1}}, {1, 2}), "");
  EXPECT_THAT(error({.elements = 2, .shape = {1, 2}, .strides = {2, 1}}, {1, 2}),
              HasSubstr("2 dimensions"));
  EXPECT_THAT(error({.elements = 2, .shape = {1, 1, 2}, .strides = {2, 2, 1}}, {1, -2}),
              HasSubstr("got -2"));
  EXPECT_THAT(error({.elements = 0, .shape = {1 << 30, 0, 1 << 30}, .strides = {0, 0, 1}}, {}),
              HasSubstr("no element"));
}

}  // namespace
}  // namespace gracemoe
