// Random inputs and comparisons for the tests of compute/.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "base/bf16.h"
#include "compute/backend.h"
#include "compute/cpu/isa.h"

namespace gracemoe {

inline std::vector<float> random_floats(std::size_t n, unsigned seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(n);
  for (auto& v : values) v = normal(generator);
  return values;
}

inline std::vector<bf16> round_all(const std::vector<float>& values) {
  std::vector<bf16> rounded(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) rounded[i] = to_bf16(values[i]);
  return rounded;
}

inline std::vector<float> widen_all(const std::vector<bf16>& values) {
  std::vector<float> wide(values.size());
  for (std::size_t i = 0; i < values.size(); ++i) wide[i] = to_float(values[i]);
  return wide;
}

inline std::vector<bf16> random_bf16(std::size_t n, unsigned seed, float scale = 1.0F) {
  return round_all(random_floats(n, seed, scale));
}

inline WeightView view(const std::vector<bf16>& data, int out, int in) {
  return {data, out, in};
}

inline const std::byte* bytes_of(const auto& values) {
  return reinterpret_cast<const std::byte*>(values.data());
}
inline std::byte* bytes_of(auto& values) {
  return reinterpret_cast<std::byte*>(values.data());
}

inline bool same_bits(const float* a, const float* b, std::size_t n) {
  return std::memcmp(a, b, n * sizeof(float)) == 0;
}

// One of the machine's instruction sets and a number of threads; skips where the machine lacks the
// set.
struct CpuCase {
  Isa isa;
  int threads;
  const char* dense = "packed";
};
inline std::string case_name(const testing::TestParamInfo<CpuCase>& info) {
  std::string name = isa_name(info.param.isa);
  for (auto& c : name) {
    if (c == '-') c = '_';
  }
  if (info.param.dense != std::string("packed")) name += std::string("_") + info.param.dense;
  return name + "_threads" + std::to_string(info.param.threads);
}
inline const CpuCase kCpuCases[] = {{Isa::kAvx2, 1},       {Isa::kAvx2, 2},
                                    {Isa::kAvx512, 1},     {Isa::kAvx512, 2},
                                    {Isa::kAvx512Bf16, 1}, {Isa::kAvx512Bf16, 2}};

class CpuTest : public testing::TestWithParam<CpuCase> {
 protected:
  void SetUp() override {
    if (!isa_available(GetParam().isa)) {
      GTEST_SKIP() << "this machine has no " << isa_name(GetParam().isa);
    }
    cpu_ = make(GetParam().threads);
  }
  static std::unique_ptr<Backend> make(int threads) {
    return make_cpu_backend({threads, isa_name(GetParam().isa), GetParam().dense});
  }
  std::unique_ptr<Backend> cpu_;
  std::unique_ptr<Backend> ref_ = make_reference_backend();
};

}  // namespace gracemoe
