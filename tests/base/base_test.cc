#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <set>

#include "base/bf16.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "base/quantities.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

TEST(Error, FormatsWhatIsThere) {
  EXPECT_EQ(format_problem({.what = "a", .got = "b", .wanted = "c", .action = "d"}),
            "a: got b, wanted c; d");
  EXPECT_EQ(format_problem({.what = "a", .got = "", .wanted = "c", .action = ""}), "a: wanted c");
  EXPECT_EQ(format_problem({.what = "a", .got = "b", .wanted = "", .action = ""}), "a: got b");
}

TEST(Error, ExitCodesTellUserFromDefect) {
  for (const auto category :
       {ErrorCategory::kUsage, ErrorCategory::kInput, ErrorCategory::kOutput}) {
    EXPECT_EQ(Error(category, "x").exit_code(), 2);
  }
  EXPECT_EQ(Error(ErrorCategory::kPeer, "x").exit_code(), 1);
  EXPECT_EQ(Error(ErrorCategory::kInternal, "x").exit_code(), 1);
  EXPECT_THAT(error_of([] { GM_CHECK(1 > 2, "one is small"); }, ErrorCategory::kInternal),
              AllOf(HasSubstr("one is small"), HasSubstr("base_test.cc:")));
}

// Every bf16 value survives; every float goes to a nearest one, to the even one of two.
TEST(Bf16, RoundsToNearestEven) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const bf16 x{static_cast<std::uint16_t>(bits)};
    const float f = to_float(x);
    if (std::isnan(f)) {
      EXPECT_TRUE(std::isnan(to_float(to_bf16(f))));
      continue;
    }
    ASSERT_EQ(to_bf16(f), x) << bits;
    if (std::isinf(f) || (bits & 0x7fffU) == 0x7f7fU) continue;
    const bf16 next{static_cast<std::uint16_t>(bits + 1)};
    const std::uint32_t middle = (bits << 16U) | 0x8000U;
    ASSERT_EQ(to_bf16(std::bit_cast<float>(middle - 1)), x);
    ASSERT_EQ(to_bf16(std::bit_cast<float>(middle + 1)), next);
    ASSERT_EQ(to_bf16(std::bit_cast<float>(middle)), (bits & 1U) == 0 ? x : next);
  }
  EXPECT_TRUE(std::isinf(to_float(to_bf16(std::numeric_limits<float>::max()))));
}

TEST(Hash, DependsOnEveryByteAndTheLength) {
  std::array<std::byte, 20> bytes{};
  std::set<std::uint64_t> seen;
  for (std::size_t size = 0; size <= bytes.size(); ++size) {
    EXPECT_TRUE(seen.insert(hash_bytes(std::span(bytes).first(size))).second) << size;
  }
  for (auto& byte : bytes) {
    byte = std::byte{1};
    EXPECT_TRUE(seen.insert(hash_bytes(bytes)).second);
    byte = std::byte{0};
  }
  EXPECT_NE(hash_bytes(bytes, 1), hash_bytes(bytes, 2));
}

TEST(Hash, UnitIntervalIsUniform) {
  EXPECT_EQ(unit_interval(0), 0.0);
  EXPECT_LT(unit_interval(~0ULL), 1.0);
  double sum = 0;
  constexpr int kSamples = 10'000;
  for (int i = 0; i < kSamples; ++i) {
    sum += unit_interval(hash_combine(7, static_cast<std::uint64_t>(i)));
  }
  EXPECT_NEAR(sum / kSamples, 0.5, 0.012);  // 4 standard errors: 4 * 0.2887 / 100
}

TEST(Hash, Hex) {
  EXPECT_EQ(hex64(0), "0000000000000000");
  EXPECT_EQ(hex64(0x0123456789abcdefULL), "0123456789abcdef");
}

TEST(Progress, Numbers) {
  EXPECT_EQ(with_commas(0), "0");
  EXPECT_EQ(with_commas(999), "999");
  EXPECT_EQ(with_commas(1000), "1,000");
  EXPECT_EQ(with_commas(-1234567), "-1,234,567");
  EXPECT_EQ(with_commas(std::numeric_limits<std::int64_t>::min()), "-9,223,372,036,854,775,808");
  EXPECT_EQ(human_bytes(0), "0 B");
  EXPECT_EQ(human_bytes(999), "999 B");
  EXPECT_EQ(human_bytes(1000), "1.0 kB");
  EXPECT_EQ(human_bytes(1.5e6), "1.5 MB");
  EXPECT_EQ(human_bytes(999'960), "1.0 MB");
  EXPECT_EQ(human_bytes(2.25e13), "22.5 TB");
  EXPECT_EQ(human_seconds(3.2), "3 s");
  EXPECT_EQ(human_seconds(59.7), "1 min 00 s");
  EXPECT_EQ(human_seconds(125), "2 min 05 s");
  EXPECT_EQ(human_seconds(3720), "1 h 02 min");
  EXPECT_EQ(human_seconds(-1), "0 s");
  EXPECT_EQ(human_seconds(std::numeric_limits<double>::infinity()), "more than a year");
}

TEST(Quantities, CountsAndShortTimes) {
  EXPECT_EQ(counted(1, "layer"), "1 layer");
  EXPECT_EQ(counted(0, "layer"), "0 layers");
  EXPECT_EQ(counted(12345, "copy", "copies"), "12,345 copies");
  EXPECT_EQ(counted(1, "copy", "copies"), "1 copy");
  EXPECT_EQ(short_seconds(0), "0 s");
  EXPECT_EQ(short_seconds(0.0524), "52.4 ms");
  EXPECT_EQ(short_seconds(0.9996), "1 s");
  EXPECT_EQ(short_seconds(0.99951e-3), "1 ms");
  EXPECT_EQ(short_seconds(4.2e-6), "4.2 us");
  EXPECT_EQ(short_seconds(5e-13), "0.0005 ns");
  EXPECT_EQ(short_seconds(12.34), "12.3 s");
  EXPECT_EQ(short_seconds(125), "2 min 05 s");
  EXPECT_EQ(short_seconds(std::numeric_limits<double>::infinity()), "more than a year");
}

TEST(Progress, OffATerminalPrintsOneLineAtTheEnd) {
  testing::internal::CaptureStderr();
  {
    ProgressBar bar("profile", "tokens", 14'848, false);
    for (int i = 0; i <= 14'848; ++i) bar.update(i);
  }
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_THAT(text, AllOf(HasSubstr("profile"), HasSubstr("100%"), HasSubstr("tokens/s"),
                          HasSubstr("14,848/14,848 tokens")));
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(text.find('\r'), text.npos);
}

TEST(Progress, QuietAndOddTotals) {
  testing::internal::CaptureStderr();
  { ProgressBar bar("a", "x", 10, true); }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "");
  testing::internal::CaptureStderr();
  { ProgressBar bar("a", "x", 0, false); }
  {
    ProgressBar bar("a", "x", 2, false);
    bar.update(5);
  }
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("100% [==="));
}

}  // namespace
}  // namespace gracemoe
