// Norm, rotation, rounding and the exponential.
#include <limits>

#include "compute/cpu/kernels.h"
#include "compute_inputs.h"

namespace gracemoe {
namespace {

class ElementwiseTest : public CpuTest {};
INSTANTIATE_TEST_SUITE_P(Isas, ElementwiseTest, testing::ValuesIn(kCpuCases), case_name);

std::vector<float> norm(const Backend& backend, const std::vector<float>& x,
                        const std::vector<bf16>& weight) {
  std::vector<float> y(x.size(), NAN);
  backend.rms_norm(x, weight, 1e-5, y);
  return y;
}

TEST_P(ElementwiseTest, RmsNorm) {
  for (const std::size_t width : {1U, 7U, 16U, 33U, 256U, 300U}) {
    const auto x = random_floats(5 * width, 1, 3.0F);
    const auto weight = random_bf16(width, 2);
    for (const Backend* backend : {cpu_.get(), ref_.get()}) {
      const auto y = norm(*backend, x, weight);
      for (std::size_t row = 0; row < 5; ++row) {
        double square = 0;
        for (std::size_t i = 0; i < width; ++i) square += std::pow(double{x[row * width + i]}, 2);
        const double scale = 1 / std::sqrt(square / static_cast<double>(width) + 1e-5);
        for (std::size_t i = 0; i < width; ++i) {
          const double want = x[row * width + i] * scale * to_float(weight[i]);
          // A sum of positive terms in 16 lanes (width / 16 + 4 roundings at most), then three more
          // roundings.
          const double bound = (static_cast<double>(width) / 16 + 8) * 0x1p-24 * std::abs(want);
          ASSERT_NEAR(y[row * width + i], want, bound) << backend->name() << " width " << width;
        }
      }
    }
  }
}

TEST_P(ElementwiseTest, RmsNormInPlace) {
  auto x = random_floats(3 * 37, 3);
  const auto weight = random_bf16(37, 4);
  for (const Backend* backend : {cpu_.get(), ref_.get()}) {
    auto y = x;
    backend->rms_norm(y, weight, 1e-5, y);
    EXPECT_EQ(y, norm(*backend, x, weight));
  }
}

TEST_P(ElementwiseTest, RmsNormOfARowIsTheSameInEveryBatch) {
  constexpr std::size_t kWidth = 61, kRows = 2100;  // enough for threads
  const auto x = random_floats(kRows * kWidth, 5);
  const auto weight = random_bf16(kWidth, 6);
  const auto all = norm(*cpu_, x, weight);
  for (std::size_t row = 0; row < kRows; row += row < 70 ? 1 : 131) {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(row * kWidth);
    const auto one = norm(*make(1), {first, first + kWidth}, weight);
    ASSERT_TRUE(same_bits(one.data(), all.data() + row * kWidth, kWidth)) << "row " << row;
  }
}

TEST_P(ElementwiseTest, Rope) {
  const std::vector<std::int32_t> position = {0, 1, 5, 1000, 70000, 3};
  for (const int dim : {2, 6, 32, 50}) {
    constexpr int kHeads = 3;
    const auto x = random_floats(position.size() * static_cast<std::size_t>(kHeads * dim), 7);
    for (const Backend* backend : {cpu_.get(), ref_.get()}) {
      auto y = x;
      backend->rope(y, kHeads, position, plain_rope(dim, 10000.0));
      for (std::size_t at = 0; at < x.size(); ++at) {
        const auto i = at % static_cast<std::size_t>(dim);
        const auto half = static_cast<std::size_t>(dim) / 2;
        const auto row = at / static_cast<std::size_t>(kHeads * dim);
        const double angle =
            position[row] * std::pow(10000.0, -2.0 * static_cast<double>(i % half) / dim);
        const double a = x[i < half ? at : at - half], b = x[i < half ? at + half : at];
        const double want = i < half ? a * std::cos(angle) - b * std::sin(angle)
                                     : b * std::cos(angle) + a * std::sin(angle);
        // Cosine, sine, two products and a sum, each rounded once.
        ASSERT_NEAR(y[at], want, 4 * 0x1p-24 * (std::abs(a) + std::abs(b))) << backend->name();
      }
    }
  }
}

TEST_P(ElementwiseTest, RopeOfARowIsTheSameInEveryBatch) {
  constexpr std::size_t kRows = 1500, kWidth = 2 * 48;  // enough for threads
  const auto x = random_floats(kRows * kWidth, 8);
  std::vector<std::int32_t> position(kRows);
  for (std::size_t i = 0; i < kRows; ++i) position[i] = static_cast<std::int32_t>(i * 48 % 20011);
  auto all = x;
  cpu_->rope(all, 2, position, plain_rope(48, 5e5));
  const auto fresh = make(1);
  for (std::size_t row = 0; row < kRows; row += 37) {
    const auto first = x.begin() + static_cast<std::ptrdiff_t>(row * kWidth);
    std::vector<float> one(first, first + kWidth);
    fresh->rope(one, 2, std::span(position).subspan(row, 1), plain_rope(48, 5e5));
    ASSERT_TRUE(same_bits(one.data(), all.data() + row * kWidth, kWidth)) << "row " << row;
  }
}

TEST_P(ElementwiseTest, StoreRowsRoundsAsToBf16) {
  auto x = random_floats(1000, 9, 100.0F);
  // Ties to even and odd, denormals, the largest values, infinities and NaN.
  for (const std::uint32_t bits :
       {0x3f808000U, 0x3f818000U, 0x3f808001U, 0x00000001U, 0x00008000U, 0x7f7fffffU, 0x7f800000U,
        0xff800000U, 0x7fc00000U, 0x7f800001U, 0xffffffffU, 0x80000000U}) {
    x.push_back(std::bit_cast<float>(bits));
  }
  for (const std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{15}, x.size()}) {
    const std::vector<float> tail(x.end() - static_cast<std::ptrdiff_t>(n), x.end());
    std::vector<std::byte> rows(n * 2 + 1);
    cpu_->store_rows(tail, rows.data() + 1);
    const auto want = round_all(tail);
    EXPECT_TRUE(n == 0 || std::memcmp(rows.data() + 1, want.data(), n * 2) == 0) << n;
  }
}

TEST_P(ElementwiseTest, LoadRowsWidensWhatStoreRowsKept) {
  const auto x = random_floats(77, 11, 5.0F);
  for (const Backend* backend : {cpu_.get(), ref_.get()}) {
    std::vector<std::byte> rows(x.size() * backend->row_element_size() + 1);
    backend->store_rows(x, rows.data() + 1);
    std::vector<float> y(x.size());
    backend->load_rows(rows.data() + 1, y);
    EXPECT_EQ(y, backend == ref_.get() ? x : widen_all(round_all(x)));
  }
}

TEST_P(ElementwiseTest, RopeMagnitudeMultipliesBoth) {
  const std::vector<std::int32_t> position = {7};
  Rope rope = plain_rope(8, 100.0);
  for (const Backend* backend : {cpu_.get(), ref_.get()}) {
    auto x = random_floats(8, 12), twice = x;
    backend->rope(x, 1, position, rope);
    Rope doubled = rope;
    doubled.magnitude = 2;
    backend->rope(twice, 1, position, doubled);
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_FLOAT_EQ(twice[i], 2 * x[i]);
  }
}

TEST(ReferenceElementwise, StoreRowsKeepsFloats) {
  const auto x = random_floats(9, 10);
  std::vector<float> rows(9);
  const auto ref = make_reference_backend();
  EXPECT_EQ(ref->row_element_size(), 4U);
  ref->store_rows(x, bytes_of(rows));
  EXPECT_EQ(rows, x);
}

TEST_P(ElementwiseTest, ExponentialWithinTwoUnits) {
  std::vector<float> x;
  for (int i = -120000; i <= 90000; i += 7) x.push_back(static_cast<float>(i) * 1e-3F);
  std::vector<float> y(x.size());
  kernels_for(GetParam().isa).exponential(x.data(), y.data(), x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    const auto want = static_cast<float>(std::exp(double{x[i]}));
    const double unit = want < std::numeric_limits<float>::min()
                            ? std::numeric_limits<float>::denorm_min()
                            : double{want} * 0x1p-23;
    if (std::isinf(want)) {
      ASSERT_EQ(y[i], want) << x[i];
    } else {
      ASSERT_NEAR(y[i], want, 2 * unit) << x[i];
    }
  }
}

TEST_P(ElementwiseTest, ExponentialOfSpecialValues) {
  const std::vector<float> x = {INFINITY, -INFINITY, NAN, 0.0F, -0.0F, 1e30F, -1e30F};
  std::vector<float> y(x.size());
  kernels_for(GetParam().isa).exponential(x.data(), y.data(), x.size());
  EXPECT_EQ(y[0], INFINITY);
  EXPECT_EQ(y[1], 0.0F);
  EXPECT_TRUE(std::isnan(y[2]));
  EXPECT_EQ(y[3], 1.0F);
  EXPECT_EQ(y[4], 1.0F);
  EXPECT_EQ(y[5], INFINITY);
  EXPECT_EQ(y[6], 0.0F);
}

}  // namespace
}  // namespace gracemoe
