// Choosing a backend, and contracts broken by a caller.
#include <gmock/gmock.h>

#include "base/error.h"
#include "compute_inputs.h"

namespace gracemoe {
namespace {

using testing::HasSubstr;

template <class Call>
Error error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return {ErrorCategory::kInternal, ""};
}

TEST(CpuBackend, UnknownInstructionSetIsRefused) {
  const auto error = error_of([] { make_cpu_backend({1, "avx1024"}); });
  EXPECT_EQ(error.category(), ErrorCategory::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("'avx1024'"));
  EXPECT_THAT(error.what(), HasSubstr("instruction set of the cpu backend"));
}

TEST(CpuBackend, NoThreadsAreRefused) {
  const auto error = error_of([] { make_cpu_backend({0, ""}); });
  EXPECT_EQ(error.category(), ErrorCategory::kUsage);
  EXPECT_THAT(error.what(), HasSubstr("threads of the cpu backend: got 0, wanted at least 1"));
}

TEST(CpuBackend, RefusesAnUnknownWayToMultiplyAndOneDnnBelowAvx512) {
  const auto unknown = error_of([] { make_cpu_backend({1, "", "mkl"}); });
  EXPECT_THAT(unknown.what(), HasSubstr("got 'mkl', wanted packed or onednn"));
  if (!isa_available(Isa::kAvx2)) GTEST_SKIP() << "no avx2 here";
  const auto below = error_of([] { make_cpu_backend({1, "avx2", "onednn"}); });
  EXPECT_THAT(below.what(), HasSubstr("wanted a processor with AVX-512"));
}

TEST(CpuBackend, TakesTheBestInstructionSet) {
  if (!isa_available(Isa::kAvx2)) GTEST_SKIP() << "this machine has no avx2";
  EXPECT_THAT(make_cpu_backend({})->name(), HasSubstr(isa_name(best_isa())));
  EXPECT_EQ(make_cpu_backend({})->row_element_size(), 2U);
  EXPECT_TRUE(isa_available(best_isa()));
}

class Contracts : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    if (GetParam() && !isa_available(Isa::kAvx2)) GTEST_SKIP() << "this machine has no avx2";
    backend_ = GetParam() ? make_cpu_backend({}) : make_reference_backend();
  }
  template <class Call>
  void expect_broken(const Call& call, const std::string& text) const {
    const auto error = error_of(call);
    EXPECT_EQ(error.category(), ErrorCategory::kInternal);
    EXPECT_THAT(error.what(), HasSubstr(text));
  }
  std::unique_ptr<Backend> backend_;
};
INSTANTIATE_TEST_SUITE_P(Backends, Contracts, testing::Bool(),
                         [](const auto& bound) { return bound.param ? "cpu" : "reference"; });

TEST_P(Contracts, Linear) {
  const auto w = random_bf16(6, 1);
  std::vector<float> x(3), y(2);
  for (const WeightView& bad : {view(w, 3, 3), view(w, 0, 3), view(w, -2, -3)}) {
    expect_broken([&] { backend_->linear(bad); }, "a weight matrix");
    expect_broken([&] { backend_->linear_float32(bad); }, "a weight matrix");
  }
  const auto linear = backend_->linear(view(w, 2, 3));
  expect_broken([&] { linear->forward(x, 2, y); }, "x is not [rows, in]");
  expect_broken([&] { linear->forward(x, 1, x); }, "y is not [rows, out]");
  expect_broken([&] { linear->forward(x, -1, y); }, "negative number of rows");
}

TEST_P(Contracts, Experts) {
  const auto w = random_bf16(6, 1), other = random_bf16(8, 1);
  const ExpertWeights good{view(w, 2, 3), view(w, 2, 3), view(w, 3, 2)};
  expect_broken(
      [&] {
        backend_->experts({{view(w, 2, 3), view(w, 3, 2), view(w, 3, 2)}});
      },
      "gate and up differ");
  expect_broken(
      [&] {
        backend_->experts({{view(w, 2, 3), view(w, 2, 3), view(w, 2, 3)}});
      },
      "down is not [hidden, width]");
  expect_broken(
      [&] {
        backend_->experts({good, {view(other, 2, 4), view(other, 2, 4), view(other, 4, 2)}});
      },
      "differ in shape");
  const auto group = backend_->experts({good});
  const auto expect_work = [&](std::vector<std::int32_t> expert, std::vector<std::int32_t> offsets,
                               std::vector<std::int32_t> row_of, const std::string& text) {
    expect_broken([&] { group->forward({nullptr, expert, offsets, row_of}, nullptr); }, text);
  };
  expect_work({0}, {0}, {}, "one offset more");
  expect_work({0}, {1, 1}, {0}, "do not start at 0");
  expect_work({1}, {0, 1}, {0}, "outside the group");
  expect_work({0, 0}, {0, 2, 1}, {0}, "offsets fall");
  expect_work({0}, {0, 1}, {0, 0}, "last offset");
  expect_work({0}, {0, 1}, {-1}, "negative row");
}

TEST_P(Contracts, NormRopeAndAttention) {
  const auto w = random_bf16(4, 1);
  std::vector<float> x(8), y(8), three(3);
  const std::vector<std::int32_t> position = {0, -1};
  expect_broken([&] { backend_->rms_norm(three, w, 0, three); }, "x is not [rows, width]");
  expect_broken([&] { backend_->rms_norm(x, {}, 0, y); }, "x is not [rows, width]");
  expect_broken([&] { backend_->rms_norm(x, w, 0, three); }, "y is not of x's shape");
  const Rope rope = plain_rope(4, 1e4);
  expect_broken([&] { backend_->rope(three, 1, position, {}); }, "rope needs heads");
  expect_broken([&] { backend_->rope(three, 1, position, rope); }, "x is not [rows");
  expect_broken([&] { backend_->rope(x, 1, position, rope); }, "negative position");
  const auto shape = [](int heads, int kv_heads) {
    return grouped_query_shape(heads, kv_heads, 4);
  };
  const std::vector<AttentionSpan> outside = {{1, 2, 0, nullptr, nullptr}};
  expect_broken([&] { backend_->attention(x, shape(3, 2), {}, y); }, "no multiple");
  expect_broken([&] { backend_->attention(x, shape(0, 1), {}, y); }, "without heads");
  expect_broken([&] { backend_->attention(x, shape(1, 1), {}, three); }, "not [rows");
  expect_broken([&] { backend_->attention(x, shape(1, 1), outside, y); }, "outside q");
}

}  // namespace
}  // namespace gracemoe
