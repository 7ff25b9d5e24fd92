#include "trace/routing_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "support/temp_dir.h"
#include "trace/trace_files.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Three tokens of two sequences, two layers, top-2 of 4 experts.
RoutingTrace small_trace() {
  RoutingTrace trace;
  trace.model = "small";
  trace.fingerprint = "00ff";
  trace.phase = "prefill";
  trace.num_experts = 4;
  trace.top_k = 2;
  trace.layers = 2;
  trace.sequence = {0, 0, 5};
  trace.experts = {0, 1, 2, 3, /**/ 1, 2, 3, 0, /**/ 3, 2, 1, 0};
  trace.weights = {.5F, .25F, 1, 0, .5F, .25F, 1, 0, .5F, .25F, 1, 0};
  return trace;
}

// The parts of a file of small_trace()'s shape, to break one at a time.
struct Parts {
  std::map<std::string, RawTensor> tensors{
      {"sequence", raw<std::int32_t>(DType::kI32, {3}, {0, 0, 5})},
      {"experts", raw<std::uint8_t>(DType::kU8, {3, 2, 2}, {0, 1, 2, 3, 1, 2, 3, 0, 3, 2, 1, 0})}};
  Metadata metadata{{"format", "moe-trace"},
                    {"version", "1"},
                    {"num_experts", "4"},
                    {"top_k", "2"},
                    {"num_layers", "2"}};
};

class RoutingTraceFile : public ::testing::Test {
 protected:
  std::filesystem::path path_of(const Parts& parts) {
    const auto path = dir_ / "t.safetensors";
    write_raw(path, parts.tensors, parts.metadata);
    return path;
  }
  std::string refusal(const Parts& parts) { return refusal(path_of(parts)); }
  std::string refusal(const std::filesystem::path& path) {
    try {
      read_trace(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInput) << error.what();
      EXPECT_THAT(error.what(), HasSubstr(path.string()));
      return error.what();
    }
    return "accepted";
  }
  TempDir dir_;
};

TEST_F(RoutingTraceFile, RoundTrip) {
  const RoutingTrace trace = small_trace();
  write_trace(dir_ / "t", trace);
  const RoutingTrace back = read_trace(dir_ / "t");
  EXPECT_EQ(back.model, trace.model);
  EXPECT_EQ(back.fingerprint, trace.fingerprint);
  EXPECT_EQ(back.phase, trace.phase);
  EXPECT_EQ(back.num_experts, 4);
  EXPECT_EQ(back.sequence, trace.sequence);
  EXPECT_EQ(back.experts, trace.experts);
  EXPECT_EQ(back.weights, trace.weights);
  EXPECT_THAT(back.chosen(1, 1), ElementsAre(3, 0));
}

TEST_F(RoutingTraceFile, StoresManyExpertsAs16Bits) {
  RoutingTrace trace = small_trace();
  trace.num_experts = 300;
  trace.experts[0] = 299;
  trace.weights.clear();
  write_trace(dir_ / "t", trace);
  EXPECT_EQ(SafetensorsFile(dir_ / "t").tensor("experts").dtype, DType::kU16);
  EXPECT_EQ(read_trace(dir_ / "t").experts, trace.experts);
}

TEST_F(RoutingTraceFile, ReadsEveryStoredType) {
  Parts parts;
  parts.tensors["experts"] =
      raw<std::int32_t>(DType::kI32, {3, 2, 2}, {0, 1, 2, 3, 1, 2, 3, 0, 3, 2, 1, 0});
  // 0.5, -2, the smallest subnormal, and the largest value of binary16.
  parts.tensors["weights"] = raw<std::uint16_t>(
      DType::kF16, {3, 2, 2}, {0x3800, 0xc000, 1, 0x7bff, 0, 0, 0, 0, 0, 0, 0, 0});
  const RoutingTrace trace = read_trace(path_of(parts));
  EXPECT_EQ(trace.experts, small_trace().experts);
  EXPECT_EQ(trace.weights[0], 0.5F);
  EXPECT_EQ(trace.weights[1], -2.0F);
  EXPECT_EQ(trace.weights[2], 0x1p-24F);
  EXPECT_EQ(trace.weights[3], 65504.0F);
  EXPECT_EQ(trace.model, "");
}

TEST_F(RoutingTraceFile, ReadsAnEmptyTrace) {
  Parts parts;
  parts.tensors["sequence"] = raw<std::int32_t>(DType::kI32, {0}, {});
  parts.tensors["experts"] = raw<std::uint8_t>(DType::kU8, {0, 2, 2}, {});
  EXPECT_EQ(read_trace(path_of(parts)).tokens(), 0);
}

TEST_F(RoutingTraceFile, RefusesWrongMetadata) {
  const std::vector<std::tuple<std::string, std::string, std::string>> cases{
      {"format", "moe-stats", "metadata format: got 'moe-stats', wanted 'moe-trace'"},
      {"version", "2", "metadata version: got '2', wanted '1'"},
      {"num_experts", "0", "metadata num_experts: got '0'"},
      {"num_experts", "4x", "metadata num_experts: got '4x'"},
      {"num_experts", "65536", "an integer from 1 to 65535"},
      {"top_k", "5", "metadata top_k: got '5', wanted an integer from 1 to 4"},
      {"num_layers", "-1", "metadata num_layers: got '-1'"}};
  for (const auto& [key, value, message] : cases) {
    Parts parts;
    parts.metadata[key] = value;
    EXPECT_THAT(refusal(parts), HasSubstr(message));
  }
  Parts parts;
  parts.metadata.erase("format");
  EXPECT_THAT(refusal(parts), HasSubstr("metadata format: got nothing"));
}

TEST_F(RoutingTraceFile, RefusesExpertsOutOfRangeNamingThePlace) {
  Parts parts;
  parts.tensors["experts"].bytes[6] = std::byte{4};
  EXPECT_THAT(refusal(parts),
              HasSubstr("experts: token 1, layer 1: got expert 4, wanted ids from 0 to 3"));
  for (const std::int32_t id : {-1, 65536, 65535, 1 << 30}) {  // must not wrap into range
    parts.tensors["experts"] =
        raw<std::int32_t>(DType::kI32, {3, 2, 2}, {0, 1, 2, 3, 1, id, 3, 0, 3, 2, 1, 0});
    EXPECT_THAT(refusal(parts), HasSubstr("experts: token 1, layer 0: got expert ")) << id;
  }
}

TEST_F(RoutingTraceFile, RefusesAnExpertTwice) {
  Parts parts;
  parts.tensors["experts"].bytes[9] = std::byte{3};
  EXPECT_THAT(refusal(parts), HasSubstr("token 2, layer 0: got expert 3 twice"));
}

TEST_F(RoutingTraceFile, RefusesWrongShapesAndTypes) {
  Parts parts;
  parts.tensors["experts"].shape = {3, 4, 1};
  EXPECT_THAT(refusal(parts), HasSubstr("tensor experts: got shape [3, 4, 1], wanted [3, 2, 2]"));
  parts = Parts();
  parts.tensors["sequence"] = raw<std::int32_t>(DType::kI32, {2}, {0, 0});
  EXPECT_THAT(refusal(parts), HasSubstr("wanted [2, 2, 2]"));
  parts = Parts();
  parts.tensors["sequence"] = raw<std::int64_t>(DType::kI64, {3}, {0, 0, 5});
  EXPECT_THAT(refusal(parts), HasSubstr("tensor sequence: got I64, wanted I32"));
  parts = Parts();
  parts.tensors["sequence"].shape = {3, 1};
  EXPECT_THAT(refusal(parts), HasSubstr("wanted [tokens]"));
  parts = Parts();
  parts.tensors["experts"].dtype = DType::kI8;
  EXPECT_THAT(refusal(parts), HasSubstr("tensor experts: got I8, wanted U8, U16 or I32"));
  parts = Parts();
  parts.tensors.erase("experts");
  EXPECT_THAT(refusal(parts), HasSubstr("experts"));
  parts = Parts();
  parts.tensors["weights"] = raw<float>(DType::kF32, {3, 2, 2}, std::vector<float>(12, NAN));
  EXPECT_THAT(refusal(parts), HasSubstr("tensor weights: got NaN or infinity"));
  parts.tensors["weights"] = raw<float>(DType::kF32, {12}, std::vector<float>(12));
  EXPECT_THAT(refusal(parts), HasSubstr("tensor weights: got shape [12]"));
}

TEST_F(RoutingTraceFile, RefusesScatteredOrNegativeSequences) {
  Parts parts;
  parts.tensors["sequence"] = raw<std::int32_t>(DType::kI32, {3}, {0, 5, 0});
  EXPECT_THAT(refusal(parts), HasSubstr("sequence: token 2: got sequence 0 again"));
  parts.tensors["sequence"] = raw<std::int32_t>(DType::kI32, {3}, {0, 0, -5});
  EXPECT_THAT(refusal(parts), HasSubstr("sequence: token 2: got -5"));
}

TEST_F(RoutingTraceFile, RefusesATruncatedFileAndAMissingOne) {
  const auto path = path_of(Parts());
  const std::string whole = read_file(path);
  for (const std::size_t keep :
       {std::size_t{0}, std::size_t{7}, std::size_t{40}, whole.size() - 1}) {
    std::ofstream(path, std::ios::binary) << whole.substr(0, keep);
    EXPECT_NE(refusal(path), "accepted") << keep;
  }
  EXPECT_NE(refusal(dir_ / "absent"), "accepted");
}

// Whatever single byte is wrong, a file is read as a trace of sound ids or refused with an Error.
TEST_F(RoutingTraceFile, SurvivesEveryDamagedByte) {
  const auto path = dir_ / "t";
  write_trace(path, small_trace());
  const std::string whole = read_file(path);
  int refused = 0;
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string text = whole;
    text[at] = static_cast<char>(text[at] ^ (1 << (at % 8)));
    std::ofstream(path, std::ios::binary) << text;
    try {
      const RoutingTrace trace = read_trace(path);
      EXPECT_LT(*std::max_element(trace.experts.begin(), trace.experts.end()), trace.num_experts);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInput) << error.what();
      ++refused;
    }
  }
  EXPECT_GT(refused, static_cast<int>(whole.size()) / 3);
}

TEST(SplitBySequence, EverySecondSequenceIsHeldOut) {
  RoutingTrace trace = small_trace();
  trace.sequence = {7, 3, 3};
  trace.weights.clear();
  const TraceSplit split = split_by_sequence(trace, 2);
  EXPECT_THAT(split.fit.sequence, ElementsAre(7));
  EXPECT_THAT(split.fit.experts, ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(split.held_out.sequence, ElementsAre(3, 3));
  EXPECT_THAT(split.held_out.experts, ElementsAre(1, 2, 3, 0, 3, 2, 1, 0));
  EXPECT_EQ(split.held_out.num_experts, 4);
  EXPECT_EQ(split.held_out.model, "small");
  EXPECT_TRUE(split.fit.weights.empty());
}

TEST(SplitBySequence, TheLastTokensAreHeldOutOfTooFewSequences) {
  const TraceSplit split = split_by_sequence(small_trace(), 3);  // two sequences, three tokens
  EXPECT_THAT(split.fit.sequence, ElementsAre(0, 0));
  EXPECT_THAT(split.held_out.sequence, ElementsAre(5));
  EXPECT_EQ(split.held_out.weights.size(), 4U);
}

TEST(SplitBySequence, AnEmptyTraceHasEmptyParts) {
  RoutingTrace trace = small_trace();
  trace.sequence.clear();
  trace.experts.clear();
  trace.weights.clear();
  const TraceSplit split = split_by_sequence(trace, 2);
  EXPECT_EQ(split.fit.tokens(), 0);
  EXPECT_EQ(split.held_out.tokens(), 0);
}

}  // namespace
}  // namespace gracemoe
