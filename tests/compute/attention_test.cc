#include "compute_inputs.h"

namespace gracemoe {
namespace {

struct Shape {
  int heads, kv_heads, dim;
  std::size_t q_width() const { return static_cast<std::size_t>(heads * dim); }
  std::size_t kv_width() const { return static_cast<std::size_t>(kv_heads * dim); }
};
// One head, odd sizes, grouped heads, the usual sizes of models.
const Shape kShapes[] = {{1, 1, 1}, {3, 1, 7}, {4, 2, 18}, {8, 8, 32}, {6, 2, 33}, {2, 1, 128}};

struct Cache {
  std::vector<bf16> keys, values;
  Cache(std::size_t positions, Shape shape, unsigned seed)
      : keys(random_bf16(positions * shape.kv_width(), seed)),
        values(random_bf16(positions * shape.kv_width(), seed + 1)) {}
};

AttentionSpan span_of(const Cache& cache, int first_row, int rows, int first_position) {
  return {first_row, rows, first_position, bytes_of(cache.keys), bytes_of(cache.values)};
}

std::vector<float> attend(const Backend& backend, Shape shape, const std::vector<float>& q,
                          const std::vector<AttentionSpan>& spans) {
  std::vector<float> out(q.size(), NAN);
  backend.attention(q, grouped_query_shape(shape.heads, shape.kv_heads, shape.dim), spans, out);
  return out;
}

// softmax(q . k / sqrt(dim)) . v in double for one row at `position`.
void expect_row(const float* out, const float* q, const Cache& cache, Shape shape, int position,
                const std::string& name) {
  for (int h = 0; h < shape.heads; ++h) {
    const auto dim = static_cast<std::size_t>(shape.dim);
    const auto kv = static_cast<std::size_t>(h / (shape.heads / shape.kv_heads)) * dim;
    const float* query = q + static_cast<std::size_t>(h) * dim;
    std::vector<double> p;
    double largest = -INFINITY, sum = 0;
    for (std::size_t j = 0; j <= static_cast<std::size_t>(position); ++j) {
      double s = 0;
      for (std::size_t d = 0; d < dim; ++d) {
        s += query[d] * double{to_float(cache.keys[j * shape.kv_width() + kv + d])};
      }
      p.push_back(s / std::sqrt(shape.dim));
      largest = std::max(largest, p.back());
    }
    for (auto& w : p) sum += w = std::exp(w - largest);
    for (std::size_t d = 0; d < dim; ++d) {
      double want = 0, size = 0;
      for (std::size_t j = 0; j < p.size(); ++j) {
        const double v = to_float(cache.values[j * shape.kv_width() + kv + d]);
        want += p[j] / sum * v;
        size += p[j] / sum * std::abs(v);
      }
      // Scores of size ~ sqrt(dim) are off by at most dim * 2^-24 of that, and so are the weights,
      // relatively; the sum over positions adds as many roundings. The cache is bf16 on both sides:
      // its rounding does not count.
      const double bound = (4.0 * shape.dim + static_cast<double>(p.size()) + 16) * 0x1p-23 * size;
      ASSERT_NEAR(out[static_cast<std::size_t>(h) * dim + d], want, bound + 1e-30)
          << name << " position " << position << " head " << h << " of dim " << shape.dim;
    }
  }
}

class AttentionTest : public CpuTest {};
INSTANTIATE_TEST_SUITE_P(Isas, AttentionTest, testing::ValuesIn(kCpuCases), case_name);

TEST_P(AttentionTest, SoftmaxOverThePrefix) {
  for (const Shape shape : kShapes) {
    // Two sequences: a prefill in the middle of a cache, and a decoded row; a row between them
    // belongs to no span.
    const Cache a(47, shape, 1), b(90, shape, 3);
    const auto q = random_floats(24 * shape.q_width(), 5);
    const auto out = attend(*cpu_, shape, q, {span_of(a, 0, 22, 25), span_of(b, 23, 1, 89)});
    for (int r = 0; r < 22; ++r) {
      const auto at = static_cast<std::size_t>(r) * shape.q_width();
      expect_row(out.data() + at, q.data() + at, a, shape, 25 + r, cpu_->name());
    }
    EXPECT_TRUE(std::isnan(out[22 * shape.q_width()]));
    const auto at = 23 * shape.q_width();
    expect_row(out.data() + at, q.data() + at, b, shape, 89, cpu_->name());
  }
}

TEST(ReferenceAttention, SoftmaxOverThePrefix) {
  for (const Shape shape : kShapes) {
    const Cache cache(12, shape, 1);
    const auto keys = widen_all(cache.keys), values = widen_all(cache.values);
    const auto q = random_floats(5 * shape.q_width(), 5);
    const auto out =
        attend(*make_reference_backend(), shape, q, {{0, 5, 7, bytes_of(keys), bytes_of(values)}});
    for (int r = 0; r < 5; ++r) {
      const auto at = static_cast<std::size_t>(r) * shape.q_width();
      expect_row(out.data() + at, q.data() + at, cache, shape, 7 + r, "reference");
    }
  }
}

// The law: a row's bits depend on its position's prefix alone, not on how rows are cut into spans,
// nor on threads.
TEST_P(AttentionTest, ARowIsTheSameInEveryBatch) {
  // Heads of 64, 96 and 128 for the kernels of several vectors; 18 key heads are more than a lone
  // row takes at once; 10 heads of a key head are enough for values to be widened.
  for (const Shape shape :
       {Shape{4, 2, 18}, Shape{2, 2, 32}, Shape{6, 2, 33}, Shape{2, 2, 64}, Shape{1, 1, 96},
        Shape{2, 1, 128}, Shape{18, 18, 16}, Shape{20, 2, 16}, Shape{6, 2, 64}}) {
    constexpr int kRows = 70;
    const Cache cache(kRows, shape, 7);
    const auto q = random_floats(kRows * shape.q_width(), 9);
    const auto one = make(1);
    std::vector<float> expected;
    for (int r = 0; r < kRows; ++r) {
      const auto first =
          q.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(r) * shape.q_width());
      const auto row =
          attend(*one, shape, {first, first + static_cast<std::ptrdiff_t>(shape.q_width())},
                 {span_of(cache, 0, 1, r)});
      expected.insert(expected.end(), row.begin(), row.end());
    }
    for (int rows = 1; rows <= kRows; ++rows) {
      // The batch's rows twice: as one span, and cut in two spans in another order.
      const int cut = rows / 3;
      std::vector<AttentionSpan> spans = {span_of(cache, cut, rows - cut, cut)};
      if (cut > 0) spans.push_back(span_of(cache, 0, cut, 0));
      std::vector<float> part(
          q.begin(), q.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(rows) *
                                                             shape.q_width()));
      for (const auto& batch : {std::vector{span_of(cache, 0, rows, 0)}, spans}) {
        const auto out = attend(*cpu_, shape, part, batch);
        ASSERT_TRUE(same_bits(out.data(), expected.data(), out.size())) << rows << " rows";
      }
    }
  }
}

// Contexts beyond some 1,300 positions take fewer queries at a time.
TEST_P(AttentionTest, LongContext) {
  const Shape shape{2, 1, 16};
  constexpr int kPositions = 9001;
  const Cache cache(kPositions, shape, 11);
  const auto q = random_floats(6 * shape.q_width(), 13);
  const auto out = attend(*cpu_, shape, q, {span_of(cache, 0, 6, kPositions - 6)});
  for (int r = 0; r < 6; ++r) {
    const auto at = static_cast<std::size_t>(r) * shape.q_width();
    expect_row(out.data() + at, q.data() + at, cache, shape, kPositions - 6 + r, cpu_->name());
    const std::vector<float> row(q.begin() + static_cast<std::ptrdiff_t>(at),
                                 q.begin() + static_cast<std::ptrdiff_t>(at + shape.q_width()));
    const auto alone = attend(*make(1), shape, row, {span_of(cache, 0, 1, kPositions - 6 + r)});
    ASSERT_TRUE(same_bits(alone.data(), out.data() + at, alone.size())) << r;
  }
}

// Keys and values of more than 2 MB are fetched ahead, rows that are no whole cache lines too; a
// lone row goes through fewer in one piece.
TEST_P(AttentionTest, ALoneRowFarBack) {
  for (const Shape& shape : {Shape{8, 8, 64}, Shape{3, 3, 20}, Shape{16, 8, 64}}) {
    const int positions = (1 << 20) / static_cast<int>(shape.kv_width() * sizeof(bf16)) + 777;
    const Cache cache(positions, shape, 19);
    const auto q = random_floats(shape.q_width(), 21);
    const auto out = attend(*cpu_, shape, q, {span_of(cache, 0, 1, positions - 1)});
    expect_row(out.data(), q.data(), cache, shape, positions - 1, cpu_->name());
  }
}

// Whether a call's keys and values are many does not show: a row near by itself, and far beside
// another sequence.
TEST_P(AttentionTest, ALoneRowNearAndFarIsTheSame) {
  for (const Shape& shape : {Shape{2, 2, 32}, Shape{8, 2, 64}, Shape{4, 4, 128}}) {
    const Cache near(300, shape, 35);
    const int many = (1 << 21) / static_cast<int>(shape.kv_width() * sizeof(bf16));
    const Cache far(many, shape, 37);
    const auto q = random_floats(2 * shape.q_width(), 39);
    const auto both =
        attend(*cpu_, shape, q, {span_of(near, 0, 1, 299), span_of(far, 1, 1, many - 1)});
    const std::vector<float> first(q.begin(),
                                   q.begin() + static_cast<std::ptrdiff_t>(shape.q_width()));
    const auto alone = attend(*cpu_, shape, first, {span_of(near, 0, 1, 299)});
    EXPECT_TRUE(same_bits(alone.data(), both.data(), alone.size()));
  }
}

// What lies behind a row's position must not reach it, NaN included.
TEST_P(AttentionTest, TheFutureIsInvisible) {
  const Shape shape{2, 2, 32};
  Cache cache(40, shape, 15);
  const auto q = random_floats(20 * shape.q_width(), 17);
  const auto before = attend(*cpu_, shape, q, {span_of(cache, 0, 20, 20)});
  for (std::size_t i = 30 * shape.kv_width(); i < cache.keys.size(); ++i) {
    cache.keys[i] = cache.values[i] = to_bf16(NAN);
  }
  const auto after = attend(*cpu_, shape, q, {span_of(cache, 0, 20, 20)});
  EXPECT_TRUE(same_bits(after.data(), before.data(), 10 * shape.q_width()));
  for (std::size_t i = 10 * shape.q_width(); i < after.size(); ++i)
    EXPECT_TRUE(std::isnan(after[i]));
}

TEST_P(AttentionTest, LargeScoresDoNotOverflow) {
  const Shape shape{1, 1, 4};
  Cache cache(3, shape, 19);
  for (std::size_t i = 0; i < 4; ++i) cache.keys[8 + i] = to_bf16(1e18F);
  const std::vector<float> q(4, 1e18F);
  const auto out = attend(*cpu_, shape, q, {span_of(cache, 0, 1, 2)});
  for (std::size_t d = 0; d < 4; ++d) EXPECT_EQ(out[d], to_float(cache.values[8 + d]));
}

TEST_P(AttentionTest, UnalignedCache) {
  const Shape shape{2, 1, 34};
  const Cache cache(21, shape, 21);
  const auto q = random_floats(3 * shape.q_width(), 23);
  const auto want = attend(*cpu_, shape, q, {span_of(cache, 0, 3, 18)});
  std::vector<std::byte> keys(cache.keys.size() * 2 + 1), values(keys.size());
  std::memcpy(keys.data() + 1, cache.keys.data(), keys.size() - 1);
  std::memcpy(values.data() + 1, cache.values.data(), keys.size() - 1);
  const auto out = attend(*cpu_, shape, q, {{0, 3, 18, keys.data() + 1, values.data() + 1}});
  EXPECT_EQ(out, want);
}

TEST_P(AttentionTest, ValuesWiderThanKeys) {
  constexpr int kHeads = 12, kKey = 16, kValue = 50, kPositions = 40, kRows = 20;
  const AttentionShape shape{kHeads, 1, kKey, kValue, kKey, kValue, 0.3F};
  const auto keys = random_bf16(kPositions * kKey, 41),
             values = random_bf16(kPositions * kValue, 43);
  const auto wide_keys = widen_all(keys), wide_values = widen_all(values);
  const auto q = random_floats(kRows * kHeads * kKey, 45);
  const auto run = [&](const Backend& backend, const std::byte* its_keys,
                       const std::byte* its_values) {
    const AttentionSpan span{0, kRows, kPositions - kRows, its_keys, its_values};
    std::vector<float> out(kRows * kHeads * kValue, NAN);
    backend.attention(q, shape, std::span(&span, 1), out);
    return out;
  };
  const auto want = run(*ref_, bytes_of(wide_keys), bytes_of(wide_values));
  const auto got = run(*cpu_, bytes_of(keys), bytes_of(values));
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << i;
}

// Values that are a part of their keys, as in a compressed cache: one row a position for both.
TEST_P(AttentionTest, ValuesWithinTheKeys) {
  constexpr int kHeads = 5, kKey = 40, kValue = 33, kPositions = 37, kRows = 11;
  const AttentionShape shape{kHeads, 1, kKey, kValue, kKey, kKey, 0.3F};
  const auto rows = random_bf16(kPositions * kKey, 31);
  const auto wide = widen_all(rows);
  const auto q = random_floats(kRows * kHeads * kKey, 33);
  const auto run = [&](const Backend& backend, const std::byte* cache) {
    const AttentionSpan span{0, kRows, kPositions - kRows, cache, cache};
    std::vector<float> out(kRows * kHeads * kValue, NAN);
    backend.attention(q, shape, std::span(&span, 1), out);
    return out;
  };
  const auto want = run(*ref_, bytes_of(wide));
  const auto got = run(*cpu_, bytes_of(rows));
  for (std::size_t i = 0; i < got.size(); ++i) ASSERT_NEAR(got[i], want[i], 2e-5) << i;
  for (int row = 0; row < kRows; ++row) {  // the law
    const AttentionSpan span{0, 1, kPositions - kRows + row, bytes_of(rows), bytes_of(rows)};
    std::vector<float> alone(kHeads * kValue);
    make(1)->attention(std::span(q).subspan(static_cast<std::size_t>(row) * kHeads * kKey,
                                            std::size_t{kHeads} * kKey),
                       shape, std::span(&span, 1), alone);
    ASSERT_TRUE(same_bits(alone.data(), got.data() + static_cast<std::size_t>(row) * alone.size(),
                          alone.size()))
        << row;
  }
}

TEST_P(AttentionTest, NoRows) {
  cpu_->attention({}, grouped_query_shape(2, 1, 8), {}, {});
  const AttentionSpan empty;
  cpu_->attention({}, grouped_query_shape(2, 1, 8), std::span(&empty, 1), {});
}

// Score sums, exponentials and value sums have one order for all vector sizes.
TEST(AttentionIsas, Avx2AndAvx512AreTheSame) {
  if (!isa_available(Isa::kAvx512)) GTEST_SKIP() << "this machine has no avx512";
  for (const Shape shape : kShapes) {
    const Cache cache(50, shape, 25);
    const auto q = random_floats(40 * shape.q_width(), 27);
    const std::vector spans = {span_of(cache, 0, 40, 10)};
    EXPECT_EQ(attend(*make_cpu_backend({1, "avx2"}), shape, q, spans),
              attend(*make_cpu_backend({1, "avx512"}), shape, q, spans));
  }
}

}  // namespace
}  // namespace gracemoe
