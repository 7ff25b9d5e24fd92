// int8 weights: the kernels against a plain loop to the bit, and what rounding the weights costs.
#include <gmock/gmock.h>

#include "base/error.h"
#include "compute_inputs.h"

namespace gracemoe {
namespace {

constexpr std::size_t kBlock = 64;

class Int8Test : public CpuTest {
 protected:
  static std::unique_ptr<Backend> make_int8(int threads) {
    return make_cpu_backend({threads, isa_name(GetParam().isa), "packed", nullptr, "int8"});
  }
};
INSTANTIATE_TEST_SUITE_P(Isas, Int8Test, testing::ValuesIn(kCpuCases), case_name);

// The contract of kernels.h, one output at a time.
struct Quantized {
  std::vector<int> values;
  float scale = 0;
};

Quantized quantize(const float* x, std::size_t n, int most, bool scale_in_bf16) {
  float largest = 0;
  for (std::size_t i = 0; i < n; ++i) largest = std::max(largest, std::abs(x[i]));
  Quantized q;
  q.scale = largest / static_cast<float>(most);
  if (scale_in_bf16) q.scale = to_float(to_bf16(q.scale));
  const float factor = scale_in_bf16 ? 1 / q.scale : static_cast<float>(most) / largest;
  for (std::size_t i = 0; i < n; ++i) {
    const auto value = static_cast<int>(std::nearbyint(x[i] * factor));
    q.values.push_back(largest == 0 ? 0 : std::clamp(value, -most, most));
  }
  return q;
}

float product(const float* x, const float* w, std::size_t in) {
  float sum = 0;
  for (std::size_t first = 0; first < in; first += kBlock) {
    const std::size_t n = std::min(kBlock, in - first);
    const Quantized a = quantize(x + first, n, 32767, false);
    const Quantized b = quantize(w + first, n, 127, true);
    int dot = 0;
    for (std::size_t i = 0; i < n; ++i) dot += a.values[i] * b.values[i];
    sum = std::fma(static_cast<float>(dot), b.scale * a.scale, sum);
  }
  return sum;
}

std::vector<float> products(const std::vector<float>& x, const std::vector<bf16>& w,
                            std::size_t out, std::size_t in) {
  const auto wide = widen_all(w);
  std::vector<float> y;
  for (std::size_t r = 0; r < x.size() / in; ++r)
    for (std::size_t o = 0; o < out; ++o)
      y.push_back(product(x.data() + r * in, wide.data() + o * in, in));
  return y;
}

std::vector<float> forward(const Linear& linear, const std::vector<float>& x) {
  const int rows = static_cast<int>(x.size()) / linear.in();
  std::vector<float> y(static_cast<std::size_t>(rows * linear.out()), NAN);
  linear.forward(x, rows, y);
  return y;
}

TEST_P(Int8Test, ProductsAreThePlainLoopsToTheBit) {
  for (const auto& [out, in] :
       {std::pair{1, 1}, {3, 2}, {31, 63}, {33, 64}, {64, 65}, {130, 257}, {220, 65}}) {
    const auto width = static_cast<std::size_t>(in);
    const auto w = random_bf16(static_cast<std::size_t>(out) * width, 1);
    const auto linear = make_int8(GetParam().threads)->linear(view(w, out, in));
    for (const std::size_t rows : {1, 2, 3, 4, 5, 13, 40}) {
      const auto x = random_floats(rows * width, 2);
      EXPECT_EQ(forward(*linear, x), products(x, w, static_cast<std::size_t>(out), width))
          << rows << " rows of " << out << " x " << in;
    }
  }
}

// The law, with threads and several blocks of tiles.
TEST_P(Int8Test, ARowIsTheSameInEveryBatchAndWithAnyThreads) {
  constexpr int kOut = 320, kIn = 512, kRows = 150;
  const auto w = random_bf16(kOut * kIn, 3);
  const auto x = random_floats(kRows * kIn, 4);
  const auto all = forward(*make_int8(GetParam().threads)->linear(view(w, kOut, kIn)), x);
  const auto alone = make_int8(1)->linear(view(w, kOut, kIn));
  for (const int row : {0, 1, 77, kRows - 1}) {
    const auto y = forward(*alone, {x.begin() + row * kIn, x.begin() + (row + 1) * kIn});
    EXPECT_TRUE(same_bits(y.data(), all.data() + row * kOut, kOut)) << "row " << row;
  }
}

// A weight is off by at most half its scale, the block's largest weight over 127 (and 2^-9 of that,
// the scale's own rounding); x by 2^-16 of its block's largest. Weights of one size, so that the
// bound is tight; the mean error is far below it.
TEST_P(Int8Test, ErrorOfAProductIsBounded) {
  constexpr std::size_t kOut = 40, kIn = 300;
  const auto w = random_bf16(kOut * kIn, 5);
  const auto x = random_floats(kIn, 6);
  const auto wide = widen_all(w);
  const auto y = forward(*make_int8(1)->linear(view(w, kOut, kIn)), x);
  for (std::size_t o = 0; o < kOut; ++o) {
    double want = 0, bound = 1e-6;
    for (std::size_t first = 0; first < kIn; first += kBlock) {
      const std::size_t last = std::min(first + kBlock, kIn);
      double most_w = 0, most_x = 0;
      for (std::size_t i = first; i < last; ++i) {
        most_w = std::max(most_w, std::abs(double{wide[o * kIn + i]}));
        most_x = std::max(most_x, std::abs(double{x[i]}));
      }
      for (std::size_t i = first; i < last; ++i) {
        want += double{x[i]} * double{wide[o * kIn + i]};
        bound += std::abs(double{x[i]}) * most_w * (0.5 / 127 + 0x1p-9) + most_x * most_w * 0x1p-15;
      }
    }
    EXPECT_NEAR(y[o], want, bound) << "output " << o;
    EXPECT_GT(std::abs(y[o] - want), 0) << "output " << o << ": nothing was rounded";
  }
}

struct Experts {
  std::vector<bf16> gate, up, down;
  int width, hidden;
  std::vector<ExpertWeights> weights() const {
    return {{view(gate, width, hidden), view(up, width, hidden), view(down, hidden, width)}};
  }
};

Experts make_experts(int hidden, int width) {
  const auto size = static_cast<std::size_t>(hidden * width);
  const float scale = 1 / std::sqrt(static_cast<float>(hidden));
  return {random_bf16(size, 7, scale), random_bf16(size, 8, scale), random_bf16(size, 9), width,
          hidden};
}

std::vector<bf16> forward(const ExpertGroup& group, const std::vector<bf16>& rows, int first,
                          int count, int hidden) {
  std::vector<std::int32_t> row_of;
  for (int r = first; r < first + count; ++r) row_of.push_back(r);
  const std::vector<std::int32_t> expert = {0}, offsets = {0, count};
  std::vector<bf16> y(static_cast<std::size_t>(count * hidden));
  group.forward({bytes_of(rows), expert, offsets, row_of}, bytes_of(y));
  return y;
}

TEST_P(Int8Test, ExpertsAreThePlainLoops) {
  for (const auto& [hidden, width] : {std::pair{1, 1}, {33, 15}, {64, 33}, {100, 80}, {70, 130}}) {
    const Experts e = make_experts(hidden, width);
    constexpr int kRows = 14;
    const auto rows = random_bf16(static_cast<std::size_t>(kRows * hidden), 10);
    const auto y =
        forward(*make_int8(GetParam().threads)->experts(e.weights()), rows, 0, kRows, hidden);
    const auto wide = widen_all(rows);
    const auto w = static_cast<std::size_t>(width), n = static_cast<std::size_t>(hidden);
    auto h = products(wide, e.gate, w, n);
    const auto up = products(wide, e.up, w, n);
    for (std::size_t i = 0; i < h.size(); ++i) h[i] = h[i] / (1 + std::exp(-h[i])) * up[i];
    const auto want = products(h, e.down, n, w);
    // The kernels' exponential differs from the library's in its last bits, which may move an h to
    // the next of 65,534 steps, and the output to the next bf16.
    for (std::size_t i = 0; i < want.size(); ++i)
      ASSERT_NEAR(to_float(y[i]), want[i], 0x1p-8 * std::abs(want[i]) + 1e-3)
          << hidden << " x " << width << " value " << i;
  }
}

TEST_P(Int8Test, AnEntryIsTheSameInEveryBatch) {
  constexpr int kHidden = 96, kWidth = 72, kRows = 70;
  const Experts e = make_experts(kHidden, kWidth);
  const auto rows = random_bf16(kRows * kHidden, 11);
  const auto group = make_int8(GetParam().threads)->experts(e.weights());
  const auto all = forward(*group, rows, 0, kRows, kHidden);
  const auto alone = make_int8(1)->experts(e.weights());
  for (int r = 0; r < kRows; ++r) {
    const auto y = forward(*alone, rows, r, 1, kHidden);
    ASSERT_TRUE(std::equal(y.begin(), y.end(), all.begin() + r * kHidden)) << "row " << r;
  }
}

TEST_P(Int8Test, NanAndInfinityShow) {
  const auto w = random_bf16(40 * 70, 12);
  auto x = random_floats(3 * 70, 13);
  x[4] = NAN;
  x[75] = INFINITY;
  const auto y = forward(*make_int8(1)->linear(view(w, 40, 70)), x);
  for (std::size_t o = 0; o < 40; ++o) {
    EXPECT_FALSE(std::isfinite(y[o]));
    EXPECT_FALSE(std::isfinite(y[40 + o]));
    EXPECT_TRUE(std::isfinite(y[80 + o]));
  }
  auto damaged = w;
  damaged[69] = to_bf16(INFINITY);
  const auto z = forward(*make_int8(1)->linear(view(damaged, 40, 70)), random_floats(70, 14));
  EXPECT_FALSE(std::isfinite(z[0]));
  EXPECT_TRUE(std::isfinite(z[1]));
}

TEST_P(Int8Test, NothingIsZeroAndTinyWeightsStayFinite) {
  std::vector<bf16> w(2 * 64);
  w[64] = bf16{1};  // the smallest number there is
  const auto linear = make_int8(1)->linear(view(w, 2, 64));
  EXPECT_THAT(forward(*linear, std::vector<float>(64)), testing::Each(0.0F));
  EXPECT_THAT(forward(*linear, std::vector<float>(64, 1.0F)), testing::Each(testing::Lt(1e-30F)));
}

// The router's products never are in int8.
TEST_P(Int8Test, Float32ProductsKeepTheirWeights) {
  const auto w = random_bf16(20 * 64, 15);
  const auto x = random_floats(5 * 64, 16);
  EXPECT_EQ(forward(*make_int8(1)->linear_float32(view(w, 20, 64)), x),
            forward(*cpu_->linear_float32(view(w, 20, 64)), x));
}

TEST(Int8, HalvesTheMemory) {
  CpuOptions options;
  EXPECT_EQ(stored_bytes(options, 10, 128), 2560U);
  options.weights = "int8";
  EXPECT_EQ(stored_bytes(options, 10, 128), 1320U);  // 2 scales of 2 bytes an output
  EXPECT_EQ(stored_bytes(options, 1, 65), 69U);
}

TEST(Int8, UnknownWeightsAndOneDnnAreRefused) {
  const auto message = [](const CpuOptions& options) -> std::string {
    try {
      make_cpu_backend(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.category(), ErrorCategory::kUsage);
      return error.what();
    }
    return "";
  };
  EXPECT_THAT(message({1, "", "packed", nullptr, "int4"}),
              testing::HasSubstr("weights of the cpu backend: got 'int4', wanted bf16 or int8"));
  EXPECT_THAT(message({1, "", "onednn", nullptr, "int8"}), testing::HasSubstr("got int8 weights"));
}

}  // namespace
}  // namespace gracemoe
