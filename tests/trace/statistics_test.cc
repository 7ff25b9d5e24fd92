#include "trace/statistics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/hash.h"
#include "support/temp_dir.h"
#include "trace/trace_files.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

RoutingTrace random_trace(int tokens, int experts, int top_k, int layers, std::uint64_t seed) {
  RoutingTrace trace;
  trace.num_experts = experts;
  trace.top_k = top_k;
  trace.layers = layers;
  trace.sequence.assign(static_cast<std::size_t>(tokens), 0);
  for (int i = 0; i < tokens * layers; ++i) {
    const auto start = hash_combine(seed, static_cast<std::uint64_t>(i)) % 1000;
    for (int j = 0; j < top_k; ++j)  // a step coprime to the count gives distinct ids
      trace.experts.push_back(static_cast<std::uint16_t>(
          (start + static_cast<std::uint64_t>(j * 5)) % static_cast<std::uint64_t>(experts)));
  }
  return trace;
}

TEST(CountStatistics, ByHand) {
  RoutingTrace trace;
  trace.num_experts = 3;
  trace.top_k = 2;
  trace.layers = 1;
  trace.sequence = {0, 0, 0};
  trace.experts = {0, 1, 1, 2, 1, 0};
  const RoutingStatistics s = count_statistics(trace);
  EXPECT_THAT(s.layer_load(0), ElementsAre(2, 3, 1));
  EXPECT_THAT(s.layer_affinity(0), ElementsAre(0, 2, 0, 2, 0, 1, 0, 1, 0));
}

// Against the definition, pair by pair.
TEST(CountStatistics, AgreesWithTheDefinition) {
  const RoutingTrace trace = random_trace(50, 9, 4, 3, 1);
  const RoutingStatistics s = count_statistics(trace);
  for (int layer = 0; layer < 3; ++layer) {
    double total = 0;
    for (const double load : s.layer_load(layer)) total += load;
    EXPECT_EQ(total, 50 * 4);
    for (int i = 0; i < 9; ++i) {
      for (int j = 0; j < 9; ++j) {
        int both = 0;
        for (int t = 0; t < 50; ++t) {
          const auto chosen = trace.chosen(t, layer);
          const auto has = [&](int e) {
            return std::find(chosen.begin(), chosen.end(), e) != chosen.end();
          };
          both += i != j && has(i) && has(j) ? 1 : 0;
        }
        EXPECT_EQ(s.layer_affinity(layer)[static_cast<std::size_t>(i * 9 + j)], both);
      }
    }
  }
}

TEST(CountStatistics, RefusesMorePairsThanMemory) {
  RoutingTrace trace;
  trace.num_experts = 65535;
  trace.top_k = 1;
  trace.layers = 2;
  try {
    count_statistics(trace);
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("affinity of 65535 experts in 2 layers"));
  }
}

class StatisticsFile : public ::testing::Test {
 protected:
  std::string refusal() {
    const auto path = dir_ / "s";
    write_raw(path, tensors_, metadata_);
    try {
      read_statistics(path);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kInput) << error.what();
      return error.what();
    }
    return "accepted";
  }
  TempDir dir_;
  std::map<std::string, RawTensor> tensors_{
      {"load", raw<std::int64_t>(DType::kI64, {1, 2}, {3, 4})},
      {"affinity", raw<float>(DType::kF32, {1, 2, 2}, {9, 2.5F, 2.5F, 9})}};
  Metadata metadata_{{"format", "moe-stats"},
                     {"version", "1"},
                     {"num_experts", "2"},
                     {"top_k", "2"},
                     {"num_layers", "1"}};
};

TEST_F(StatisticsFile, RoundTripIsExact) {
  RoutingStatistics s = count_statistics(random_trace(200, 11, 3, 2, 2));
  s.model = "m";
  s.fingerprint = "f";
  write_statistics(dir_ / "s", s);
  const RoutingStatistics back = read_statistics(dir_ / "s");
  EXPECT_EQ(back.model, "m");
  EXPECT_EQ(back.fingerprint, "f");
  EXPECT_EQ(back.top_k, 3);
  EXPECT_EQ(back.load, s.load);
  EXPECT_EQ(back.affinity, s.affinity);
  EXPECT_EQ(SafetensorsFile(dir_ / "s").tensor("affinity").dtype, DType::kF32);

  s.affinity[1] = s.affinity[11] = 16777217;  // no float32 holds it
  write_statistics(dir_ / "s", s);
  EXPECT_EQ(SafetensorsFile(dir_ / "s").tensor("affinity").dtype, DType::kI64);
  EXPECT_EQ(read_statistics(dir_ / "s").affinity, s.affinity);

  s.affinity.clear();
  write_statistics(dir_ / "s", s);
  EXPECT_TRUE(read_statistics(dir_ / "s").affinity.empty());
}

TEST_F(StatisticsFile, TheDiagonalIsIgnored) {
  write_raw(dir_ / "s", tensors_, metadata_);
  EXPECT_THAT(read_statistics(dir_ / "s").affinity, ElementsAre(0, 2.5, 2.5, 0));
}

TEST_F(StatisticsFile, RefusesWrongNumbers) {
  tensors_["affinity"] = raw<float>(DType::kF32, {1, 2, 2}, {0, 2, 3, 0});
  EXPECT_THAT(refusal(), HasSubstr("layer 0, experts 0 and 1: got 2.000000 and 3.000000, wanted a "
                                   "symmetric matrix"));
  tensors_["affinity"] = raw<float>(DType::kF32, {1, 2, 2}, {0, NAN, NAN, 0});
  EXPECT_THAT(refusal(), HasSubstr("tensor affinity: got nan"));
  tensors_["affinity"] = raw<double>(DType::kF64, {1, 2, 2}, {0, 2, 2, 0});
  EXPECT_THAT(refusal(), HasSubstr("tensor affinity: got F64, wanted F32 or I64"));
  tensors_.erase("affinity");
  tensors_["load"] = raw<std::int64_t>(DType::kI64, {1, 2}, {3, -4});
  EXPECT_THAT(refusal(), HasSubstr("tensor load: got -4"));
  tensors_["load"] = raw<std::int64_t>(DType::kI64, {2, 1}, {3, 4});
  EXPECT_THAT(refusal(), HasSubstr("load"));
  metadata_["format"] = "moe-trace";
  EXPECT_THAT(refusal(), HasSubstr("wanted 'moe-stats'"));
}

TEST(SharedTraces, AreReadWhole) {
  const std::filesystem::path folder = std::filesystem::path(GRACEMOE_SHARED_DIR) / "traces";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no shared traces here";
  const RoutingTrace trace = read_trace(folder / "gpt-oss-20b.trace.safetensors");
  EXPECT_EQ(trace.tokens(), 70756);
  EXPECT_EQ(trace.layers, 24);
  const RoutingStatistics s = read_statistics(folder / "qwen3-30b-a3b.stats.safetensors");
  EXPECT_EQ(s.num_experts, 128);
  double total = 0;
  for (const double load : s.layer_load(47)) total += load;
  EXPECT_NEAR(total, 75773.0 * 8, 75773.0 * 8 * 0.01);
}

}  // namespace
}  // namespace gracemoe
