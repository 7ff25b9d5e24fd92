#include "compute_inputs.h"

namespace gracemoe {
namespace {

struct Shape {
  int out, in;
};
// Single elements, odd sizes, a little more and less than the kernels' 32 outputs and 2 inputs,
// several panels.
const Shape kShapes[] = {{1, 1}, {3, 1}, {31, 7}, {33, 64}, {64, 63}, {130, 257}, {96, 256}};

class LinearTest : public CpuTest {};
INSTANTIATE_TEST_SUITE_P(Isas, LinearTest, testing::ValuesIn(kCpuCases), case_name);
INSTANTIATE_TEST_SUITE_P(OneDnn, LinearTest,
                         testing::Values(CpuCase{Isa::kAvx512, 1, "onednn"},
                                         CpuCase{Isa::kAvx512, 2, "onednn"}),
                         case_name);

std::vector<float> forward(const Linear& linear, const std::vector<float>& x, int rows) {
  std::vector<float> y(static_cast<std::size_t>(rows * linear.out()), NAN);
  linear.forward(std::span(x).first(static_cast<std::size_t>(rows * linear.in())), rows, y);
  return y;
}

// |sum of products| bound: both sides round at most `in` times by 2^-24 of the sum of |x w|,
// whatever their order (and vdpbf16ps rounds twice a pair): 4 * in * 2^-24 * sum |x w| is generous
// for float32, and far below bf16's 2^-9.
void expect_products(const std::vector<float>& y, const std::vector<float>& x,
                     const std::vector<bf16>& w, int rows, Shape shape) {
  for (int r = 0; r < rows; ++r) {
    for (int o = 0; o < shape.out; ++o) {
      double sum = 0, size = 0;
      for (int k = 0; k < shape.in; ++k) {
        const double p = double{x[static_cast<std::size_t>(r * shape.in + k)]} *
                         double{to_float(w[static_cast<std::size_t>(o * shape.in + k)])};
        sum += p;
        size += std::abs(p);
      }
      const double bound = 4.0 * shape.in * 0x1p-24 * size + 1e-30;
      ASSERT_NEAR(y[static_cast<std::size_t>(r * shape.out + o)], sum, bound)
          << "row " << r << " output " << o << " of " << shape.out << " x " << shape.in;
    }
  }
}

TEST_P(LinearTest, ProductOfRoundedInput) {
  for (const Shape shape : kShapes) {
    const auto w = random_bf16(static_cast<std::size_t>(shape.out * shape.in), 1);
    const auto x = random_floats(static_cast<std::size_t>(13 * shape.in), 2);
    const auto linear = cpu_->linear(view(w, shape.out, shape.in));
    EXPECT_EQ(linear->out(), shape.out);
    EXPECT_EQ(linear->in(), shape.in);
    for (const int rows : {1, 13}) {
      expect_products(forward(*linear, x, rows), widen_all(round_all(x)), w, rows, shape);
    }
  }
}

TEST_P(LinearTest, ProductOfFloat32InputIsNotRounded) {
  for (const Shape shape : kShapes) {
    const auto w = random_bf16(static_cast<std::size_t>(shape.out * shape.in), 1);
    const auto x = random_floats(static_cast<std::size_t>(13 * shape.in), 2);
    const auto linear = cpu_->linear_float32(view(w, shape.out, shape.in));
    for (const int rows : {1, 13}) {
      expect_products(forward(*linear, x, rows), x, w, rows, shape);
    }
  }
}

TEST(ReferenceLinear, Product) {
  for (const Shape shape : kShapes) {
    const auto w = random_bf16(static_cast<std::size_t>(shape.out * shape.in), 1);
    const auto x = random_floats(static_cast<std::size_t>(3 * shape.in), 2);
    const auto backend = make_reference_backend();
    for (const bool exact : {false, true}) {
      const auto linear = exact ? backend->linear_float32(view(w, shape.out, shape.in))
                                : backend->linear(view(w, shape.out, shape.in));
      expect_products(forward(*linear, x, 3), x, w, 3, shape);
    }
  }
}

// The law: a row's result is the same bits alone and in any batch. Every row of batches of 1..70
// (all tile heights and their mixtures), of 97 and of 200 rows, against the same row alone.
TEST_P(LinearTest, ARowIsTheSameInEveryBatch) {
  for (const Shape shape :
       {Shape{70, 65}, Shape{256, 128}, Shape{33, 1}, Shape{40, 301}, Shape{220, 34}}) {
    const auto w = random_bf16(static_cast<std::size_t>(shape.out * shape.in), 3);
    constexpr int kMost = 200;
    const auto x = random_floats(static_cast<std::size_t>(kMost * shape.in), 4);
    for (const bool exact : {false, true}) {
      const auto backend = make(1);
      const auto make_linear = [&](const Backend& b) {
        return exact ? b.linear_float32(view(w, shape.out, shape.in))
                     : b.linear(view(w, shape.out, shape.in));
      };
      const auto alone = make_linear(*backend);
      const auto in_batch = make_linear(*cpu_);
      const auto out = static_cast<std::size_t>(shape.out);
      std::vector<float> expected;
      for (int r = 0; r < kMost; ++r) {
        const auto row =
            forward(*alone, {x.begin() + r * shape.in, x.begin() + (r + 1) * shape.in}, 1);
        expected.insert(expected.end(), row.begin(), row.end());
      }
      for (int rows = 1; rows <= kMost; rows = rows < 70    ? rows + 1
                                               : rows == 70 ? 97
                                                            : rows + 103) {
        const auto y = forward(*in_batch, x, rows);
        ASSERT_TRUE(same_bits(y.data(), expected.data(), out * static_cast<std::size_t>(rows)))
            << rows << " rows of " << shape.out << " x " << shape.in;
      }
    }
  }
}

// Large enough for threads and several blocks of tiles.
TEST_P(LinearTest, LargeProductsAreTheSameForAnyThreads) {
  constexpr Shape kShape{320, 512};
  const auto w = random_bf16(kShape.out * kShape.in, 5);
  const auto x = random_floats(150 * kShape.in, 6);
  const auto one = forward(*make(1)->linear(view(w, kShape.out, kShape.in)), x, 150);
  for (const int threads : {2, 3}) {
    const auto linear = make(threads)->linear(view(w, kShape.out, kShape.in));
    EXPECT_EQ(forward(*linear, x, 150), one) << threads << " threads";
    const std::vector<float> tail(x.begin() + 149 * kShape.in, x.end());
    EXPECT_TRUE(
        same_bits(forward(*linear, tail, 1).data(), one.data() + 149 * kShape.out, kShape.out));
  }
}

TEST_P(LinearTest, NanAndInfinityShow) {
  const auto w = random_bf16(40 * 10, 7);
  auto x = random_floats(3 * 10, 8);
  x[4] = NAN;
  x[15] = INFINITY;
  for (const bool exact : {false, true}) {
    const auto linear =
        exact ? cpu_->linear_float32(view(w, 40, 10)) : cpu_->linear(view(w, 40, 10));
    const auto y = forward(*linear, x, 3);
    for (int o = 0; o < 40; ++o) {
      EXPECT_TRUE(std::isnan(y[static_cast<std::size_t>(o)]));
      EXPECT_TRUE(std::isinf(y[static_cast<std::size_t>(40 + o)]));
      EXPECT_TRUE(std::isfinite(y[static_cast<std::size_t>(80 + o)]));
    }
  }
}

TEST_P(LinearTest, NoRows) {
  const auto w = random_bf16(6, 9);
  cpu_->linear(view(w, 2, 3))->forward({}, 0, {});
}

constexpr Shape kLoopShape{45, 77};
constexpr int kLoopRows = 19;

// [rows, out] of loops over the inputs in the order that `input(i)` gives.
template <class Input>
std::vector<float> fma_loops(const std::vector<float>& x, const std::vector<bf16>& w,
                             const Input& input) {
  std::vector<float> y;
  for (int r = 0; r < kLoopRows; ++r) {
    for (int o = 0; o < kLoopShape.out; ++o) {
      float sum = 0;
      for (int i = 0; i < kLoopShape.in; ++i) {
        const int k = input(i);
        sum = std::fma(x[static_cast<std::size_t>(r * kLoopShape.in + k)],
                       to_float(w[static_cast<std::size_t>(o * kLoopShape.in + k)]), sum);
      }
      y.push_back(sum);
    }
  }
  return y;
}

// The sets without vdpbf16ps compute acc = fma(x, w, acc) over rising inputs, to the bit.
TEST(LinearIsas, Avx2AndAvx512AreTheFmaLoop) {
  const auto w = random_bf16(kLoopShape.out * kLoopShape.in, 10);
  const auto x = widen_all(random_bf16(kLoopRows * kLoopShape.in, 11));
  const auto expected = fma_loops(x, w, [](int i) { return i; });
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    if (!isa_available(isa)) continue;
    const auto cpu = make_cpu_backend({1, isa_name(isa)});
    const auto weights = view(w, kLoopShape.out, kLoopShape.in);
    EXPECT_EQ(forward(*cpu->linear(weights), x, kLoopRows), expected);
    EXPECT_EQ(forward(*cpu->linear_float32(weights), x, kLoopRows), expected);
  }
}

// vdpbf16ps adds a pair's odd input first; products of two bf16 are exact.
TEST(LinearIsas, Avx512Bf16IsTheLoopOverPairs) {
  if (!isa_available(Isa::kAvx512Bf16)) GTEST_SKIP() << "this machine has no avx512-bf16";
  const auto w = random_bf16(kLoopShape.out * kLoopShape.in, 12);
  const auto x = widen_all(random_bf16(kLoopRows * kLoopShape.in, 13));
  const auto expected =
      fma_loops(x, w, [](int i) { return i == kLoopShape.in - 1 ? i : i ^ 1; });  // an odd width
  const auto cpu = make_cpu_backend({1, isa_name(Isa::kAvx512Bf16)});
  EXPECT_EQ(forward(*cpu->linear(view(w, kLoopShape.out, kLoopShape.in)), x, kLoopRows), expected);
}

}  // namespace
}  // namespace gracemoe
