#include "compute_inputs.h"

namespace gracemoe {
namespace {

struct Experts {
  int hidden, width;
  std::vector<std::vector<bf16>> gate, up, down;
  std::vector<ExpertWeights> weights() const {
    std::vector<ExpertWeights> all;
    for (std::size_t e = 0; e < gate.size(); ++e) {
      all.push_back(
          {view(gate[e], width, hidden), view(up[e], width, hidden), view(down[e], hidden, width)});
    }
    return all;
  }
};

Experts make_experts(std::size_t n, int hidden, int width) {
  Experts experts{hidden, width, {}, {}, {}};
  const auto size = static_cast<std::size_t>(hidden * width);
  // Gates of about unit size, so that silu is used where it bends.
  const float scale = 1.0F / std::sqrt(static_cast<float>(hidden));
  for (unsigned e = 0; e < n; ++e) {
    experts.gate.push_back(random_bf16(size, 3 * e, scale));
    experts.up.push_back(random_bf16(size, 3 * e + 1, scale));
    experts.down.push_back(random_bf16(size, 3 * e + 2));
  }
  return experts;
}

struct Work {
  std::vector<std::int32_t> expert, offsets{0}, row_of;
  void add(int e, std::initializer_list<int> rows) {
    expert.push_back(e);
    row_of.insert(row_of.end(), rows.begin(), rows.end());
    offsets.push_back(static_cast<std::int32_t>(row_of.size()));
  }
  GroupedRows on(const std::byte* rows) const { return {rows, expert, offsets, row_of}; }
};

std::vector<bf16> forward(const ExpertGroup& group, const std::vector<bf16>& rows, const Work& work,
                          int hidden) {
  std::vector<bf16> y(work.row_of.size() * static_cast<std::size_t>(hidden), bf16{0x7fff});
  group.forward(work.on(bytes_of(rows)), bytes_of(y));
  return y;
}

// The reference numerics in double: h rounded to bf16 before down. The bound: an h that lies near a
// tie may round to the neighbour (2^-8 relative), which moves the result by 2^-8 * |h w|; float32
// sums add in * 2^-22; the result is rounded to bf16 (2^-9 relative). Ties in all h at once are
// impossible in practice, so a quarter of that sum is allowed.
void expect_expert(const bf16* y, const Experts& experts, std::size_t e, const bf16* row,
                   bool round_h = true) {
  const auto hidden = static_cast<std::size_t>(experts.hidden);
  const auto width = static_cast<std::size_t>(experts.width);
  std::vector<double> h(width);
  for (std::size_t i = 0; i < width; ++i) {
    double g = 0, u = 0;
    for (std::size_t k = 0; k < hidden; ++k) {
      g += double{to_float(row[k])} * double{to_float(experts.gate[e][i * hidden + k])};
      u += double{to_float(row[k])} * double{to_float(experts.up[e][i * hidden + k])};
    }
    h[i] = g / (1 + std::exp(-g)) * u;
    if (round_h) h[i] = to_float(to_bf16(static_cast<float>(h[i])));
  }
  for (std::size_t o = 0; o < hidden; ++o) {
    double sum = 0, size = 0;
    for (std::size_t i = 0; i < width; ++i) {
      const double p = h[i] * double{to_float(experts.down[e][o * width + i])};
      sum += p;
      size += std::abs(p);
    }
    ASSERT_NEAR(to_float(y[o]), sum, 0x1p-10 * size + 0x1p-8 * std::abs(sum) + 1e-6)
        << "expert " << e << " output " << o;
  }
}

class ExpertsTest : public CpuTest {};
INSTANTIATE_TEST_SUITE_P(Isas, ExpertsTest, testing::ValuesIn(kCpuCases), case_name);

TEST_P(ExpertsTest, ReferenceNumericsForAnyShape) {
  for (const auto& [hidden, width] : {std::pair{1, 1}, {7, 5}, {33, 15}, {64, 33}, {100, 48}}) {
    const auto experts = make_experts(3, hidden, width);
    const auto rows = random_bf16(static_cast<std::size_t>(8 * hidden), 50);
    Work work;
    work.add(2, {0, 3, 7});
    work.add(0, {});
    work.add(1, {5, 5, 1, 2, 4, 6, 0, 7, 3, 2, 1, 0, 5, 6});
    const auto y = forward(*cpu_->experts(experts.weights()), rows, work, hidden);
    for (std::size_t g = 0; g < work.expert.size(); ++g) {
      for (auto e = work.offsets[g]; e < work.offsets[g + 1]; ++e) {
        const auto entry = static_cast<std::size_t>(e);
        expect_expert(y.data() + entry * static_cast<std::size_t>(hidden), experts,
                      static_cast<std::size_t>(work.expert[g]),
                      rows.data() + static_cast<std::size_t>(work.row_of[entry] * hidden));
      }
    }
  }
}

// Against the reference backend, which rounds neither h nor the output.
TEST_P(ExpertsTest, NearTheReferenceBackend) {
  const int hidden = 96, width = 40;
  const auto experts = make_experts(2, hidden, width);
  const auto rows = random_bf16(5 * hidden, 51);
  const auto wide = widen_all(rows);
  Work work;
  work.add(0, {0, 1, 2});
  work.add(1, {4, 3});
  const auto y = forward(*cpu_->experts(experts.weights()), rows, work, hidden);
  std::vector<float> expected(y.size());
  ref_->experts(experts.weights())->forward(work.on(bytes_of(wide)), bytes_of(expected));
  double square = 0, error = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    square += double{expected[i]} * expected[i];
    error += std::pow(double{to_float(y[i])} - expected[i], 2);
  }
  // Two roundings to bf16, each with a relative error of at most 2^-9, 0.29 * 2^-8 in the root mean
  // square.
  EXPECT_LT(std::sqrt(error / square), 0x1p-8);
}

TEST(ReferenceExperts, SwiGlu) {
  const auto experts = make_experts(2, 12, 9);
  const auto rows = random_bf16(4 * 12, 52);
  const auto wide = widen_all(rows);
  Work work;
  work.add(1, {3, 0});
  std::vector<float> y(2 * 12);
  make_reference_backend()
      ->experts(experts.weights())
      ->forward(work.on(bytes_of(wide)), bytes_of(y));
  const auto rounded = round_all(y);
  expect_expert(rounded.data(), experts, 1, rows.data() + 3 * 12, false);
  expect_expert(rounded.data() + 12, experts, 1, rows.data(), false);
}

// The law, for entries: whatever group sizes, order, other experts and threads.
TEST_P(ExpertsTest, AnEntryIsTheSameInEveryBatch) {
  const int hidden = 64, width = 40;
  constexpr int kRows = 130;
  const auto experts = make_experts(3, hidden, width);
  const auto rows = random_bf16(static_cast<std::size_t>(kRows * hidden), 53);
  const auto alone = make(1)->experts(experts.weights());
  const auto group = cpu_->experts(experts.weights());
  std::vector<std::vector<bf16>> expected;  // [expert * kRows + row]
  for (int e = 0; e < 3; ++e) {
    for (int r = 0; r < kRows; ++r) {
      Work work;
      work.add(e, {r});
      expected.push_back(forward(*alone, rows, work, hidden));
    }
  }
  for (int n = 1; n <= kRows; n = n < 70 ? n + 1 : n + 30) {
    Work work;
    for (const int e : {1, 2, 0}) {
      work.expert.push_back(e);
      // Sizes n, n / 2 and 0, rows in falling order.
      for (int r = e == 0 ? 0 : n / e; r-- > 0;) work.row_of.push_back(r);
      work.offsets.push_back(static_cast<std::int32_t>(work.row_of.size()));
    }
    const auto y = forward(*group, rows, work, hidden);
    for (std::size_t g = 0; g < 3; ++g) {
      for (auto e = work.offsets[g]; e < work.offsets[g + 1]; ++e) {
        const auto& want = expected[static_cast<std::size_t>(
            work.expert[g] * kRows + work.row_of[static_cast<std::size_t>(e)])];
        ASSERT_TRUE(std::equal(want.begin(), want.end(), y.begin() + e * hidden))
            << "group size " << n << " entry " << e;
      }
    }
  }
}

// More entries than one wave takes (2048), and several blocks an expert.
TEST_P(ExpertsTest, ManyEntries) {
  const int hidden = 16, width = 16;
  const auto experts = make_experts(2, hidden, width);
  const auto rows = random_bf16(50 * 16, 54);
  Work work;
  for (int e = 0; e < 2; ++e) {
    work.expert.push_back(e);
    for (int i = 0; i < 2500; ++i) work.row_of.push_back((i * 7 + e) % 50);
    work.offsets.push_back(static_cast<std::int32_t>(work.row_of.size()));
  }
  const auto group = cpu_->experts(experts.weights());
  const auto y = forward(*group, rows, work, hidden);
  for (std::size_t g = 0; g < 2; ++g) {
    for (std::size_t i = 0; i < 2500; i += 97) {
      Work one;
      one.add(static_cast<int>(g), {work.row_of[g * 2500 + i]});
      const auto want = forward(*group, rows, one, hidden);
      ASSERT_TRUE(std::equal(want.begin(), want.end(),
                             y.begin() + static_cast<std::ptrdiff_t>((g * 2500 + i) * 16)));
    }
  }
}

TEST_P(ExpertsTest, NothingToDo) {
  const auto experts = make_experts(1, 8, 8);
  const auto group = cpu_->experts(experts.weights());
  Work work;
  work.add(0, {});
  group->forward(work.on(nullptr), nullptr);
  group->forward({}, nullptr);
  cpu_->experts({})->forward({}, nullptr);
  ref_->experts({})->forward({}, nullptr);
}

TEST_P(ExpertsTest, RowsMayLieUnaligned) {
  const auto experts = make_experts(1, 33, 17);
  const auto rows = random_bf16(2 * 33, 55);
  Work work;
  work.add(0, {1, 0});
  const auto group = cpu_->experts(experts.weights());
  const auto want = forward(*group, rows, work, 33);
  std::vector<std::byte> in(1 + 2 * 33 * 2), out(1 + 2 * 33 * 2);
  std::memcpy(in.data() + 1, rows.data(), 2 * 33 * 2);
  group->forward(work.on(in.data() + 1), out.data() + 1);
  EXPECT_EQ(std::memcmp(out.data() + 1, want.data(), 2 * 33 * 2), 0);
}

TEST_P(ExpertsTest, NanShows) {
  const auto experts = make_experts(1, 32, 16);
  auto rows = random_bf16(2 * 32, 56);
  rows[3] = to_bf16(NAN);
  Work work;
  work.add(0, {0, 1});
  const auto y = widen_all(forward(*cpu_->experts(experts.weights()), rows, work, 32));
  for (std::size_t i = 0; i < 32; ++i) {
    EXPECT_TRUE(std::isnan(y[i]));
    EXPECT_TRUE(std::isfinite(y[32 + i]));
  }
}

}  // namespace
}  // namespace gracemoe
