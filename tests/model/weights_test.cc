// What becomes of float16 and float32 weights.
#include "model/weights.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>

#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::AllOf;
using testing::HasSubstr;

template <class T>
TensorView view(DType dtype, const std::vector<T>& values) {
  return {dtype, {static_cast<std::int64_t>(values.size())}, std::as_bytes(std::span(values))};
}

TEST(Weights, HalvesAreWidenedExactly) {
  for (std::uint32_t bits = 0; bits < 1U << 16; ++bits) {
    const int exponent = static_cast<int>((bits >> 10) & 31);
    const double fraction = bits & 1023;
    const double size = exponent == 0    ? std::ldexp(fraction, -24)
                        : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                         : std::ldexp(1024 + fraction, exponent - 25);
    const double want = (bits & 0x8000) != 0 ? -size : size;
    const double got = half_to_float(static_cast<std::uint16_t>(bits));
    if (std::isnan(want)) {
      ASSERT_TRUE(std::isnan(got)) << bits;
    } else {
      ASSERT_EQ(got, want) << bits;
      ASSERT_EQ(std::signbit(got), (bits & 0x8000) != 0) << bits;
    }
  }
}

TEST(Weights, Bf16StaysWhereItLies) {
  const std::vector<bf16> values{to_bf16(1), to_bf16(-0.1F)};
  const Bf16Weights weights =
      bf16_weights(view(DType::kBF16, values), WeightRounding::kRefuse, "w");
  EXPECT_EQ(weights.data.data(), values.data());
  EXPECT_EQ(weights.converted, nullptr);
}

TEST(Weights, UnalignedBf16IsCopied) {
  std::vector<std::byte> bytes(5);
  const bf16 value = to_bf16(2.5F);
  std::memcpy(bytes.data() + 1, &value, 2);
  const TensorView odd{DType::kBF16, {2}, std::span(bytes).subspan(1, 4)};
  EXPECT_EQ(bf16_weights(odd, WeightRounding::kRefuse, "w").data[0], value);
}

TEST(Weights, WiderTypesPassWhereBf16HoldsTheirValues) {
  const std::vector<float> values{1, -0.5F, 0x1.02p-30F, INFINITY, 0};
  const auto weights = bf16_weights(view(DType::kF32, values), WeightRounding::kRefuse, "w");
  for (std::size_t i = 0; i < values.size(); ++i) EXPECT_EQ(to_float(weights.data[i]), values[i]);
  const std::vector<std::uint16_t> halves{0x3c00, 0x3c08, 0x0001};  // 1, 1 + 2^-7, 2^-24
  const auto from_half = bf16_weights(view(DType::kF16, halves), WeightRounding::kRefuse, "w");
  EXPECT_EQ(to_float(from_half.data[1]), 1 + 0x1p-7F);
  EXPECT_EQ(to_float(from_half.data[2]), 0x1p-24F);
}

TEST(Weights, OthersAreRefusedOrRoundedAsAsked) {
  const std::vector<float> values{1, 0.1F, 0.3F, 2};
  const auto convert = [&](WeightRounding rounding) {
    return bf16_weights(view(DType::kF32, values), rounding, "model/x: tensor 'w'");
  };
  EXPECT_THAT(error_of([&] { convert(WeightRounding::kRefuse); }),
              AllOf(HasSubstr("model/x: tensor 'w': got F32 with 2 of 4 values that bf16 does not "
                              "hold"),
                    HasSubstr("--round-weights")));
  EXPECT_EQ(convert(WeightRounding::kNearest).data[1], to_bf16(0.1F));
  const std::vector<std::uint16_t> halves{0x3c01};  // 1 + 2^-10
  EXPECT_THAT(
      error_of([&] { bf16_weights(view(DType::kF16, halves), WeightRounding::kRefuse, "w"); }),
      HasSubstr("got F16 with 1 of 1 values"));
}

}  // namespace
}  // namespace gracemoe
