// The emulated intrinsics that the kernels use, against values worked out by hand from Intel's
// definitions: what avx512.h adds, and of SIMDe's what could silently be another operation.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "compute/cpu/vec_avx512.h"

namespace gracemoe {
namespace {

using avx512::F;
using avx512::I;

constexpr float kInf = std::numeric_limits<float>::infinity();

template <class Element>
using Lanes = std::array<Element, 64 / sizeof(Element)>;

// Loads 16 lanes, the given ones in turn.
template <class Vector, class Element>
Vector repeat(std::initializer_list<Element> values) {
  Lanes<Element> lanes;
  for (std::size_t i = 0; i < lanes.size(); ++i) lanes[i] = values.begin()[i % values.size()];
  Vector vector;
  std::memcpy(&vector, lanes.data(), sizeof(vector));
  return vector;
}

template <class Element, class Vector>
std::vector<Element> first(const Vector& vector, std::size_t count) {
  std::vector<Element> elements(count);
  std::memcpy(elements.data(), &vector, count * sizeof(Element));
  return elements;
}

std::uint32_t pair(float low, float high) {
  return std::uint32_t{to_bf16(high).bits} << 16 | to_bf16(low).bits;
}

float dot(float sum, std::uint32_t a, std::uint32_t b) {
  const auto pairs = [](std::uint32_t x) { return _mm512_set1_epi32(static_cast<int>(x)); };
  const F result = _mm512_dpbf16_ps(_mm512_set1_ps(sum), reinterpret_cast<__m512bh>(pairs(a)),
                                    reinterpret_cast<__m512bh>(pairs(b)));
  const auto bits = first<std::uint32_t>(result, 16);
  EXPECT_EQ(bits, std::vector(16, bits[0]));
  return first<float>(result, 1)[0];
}

TEST(EmulatedAvx512, MultiplyAddRoundsOnce) {
  // (1 + 2^-12)^2 - 1 = 2^-11 + 2^-24, of which a rounded product keeps 2^-11 alone.
  const F x = _mm512_set1_ps(1 + 0x1p-12F);
  const F one = _mm512_set1_ps(1);
  const std::vector want(16, 0x1p-11F + 0x1p-24F);
  EXPECT_EQ(first<float>(_mm512_fmsub_ps(x, x, one), 16), want);
  EXPECT_EQ(first<float>(_mm512_fmadd_ps(x, x, _mm512_set1_ps(-1)), 16), want);
  EXPECT_EQ(first<float>(avx512::accumulate(_mm512_set1_ps(-1), x, x), 16), want);
}

TEST(EmulatedAvx512, LargerAndSmallerTakeTheSecondWhereOneIsNan) {
  const F nan = _mm512_set1_ps(NAN), one = _mm512_set1_ps(1);
  EXPECT_EQ(first<float>(_mm512_max_ps(nan, one), 1)[0], 1);
  EXPECT_TRUE(std::isnan(first<float>(_mm512_max_ps(one, nan), 1)[0]));
  EXPECT_EQ(first<float>(_mm512_min_ps(nan, one), 1)[0], 1);
  EXPECT_TRUE(std::isnan(first<float>(_mm512_min_ps(one, nan), 1)[0]));
}

TEST(EmulatedAvx512, IntegersOf32BitsBecome16) {
  const I x = repeat<I>({0, -1, 32767, 32768, -32769, 0x12345678});
  // The low halves, or the nearest that 16 bits hold.
  EXPECT_EQ(first<std::int16_t>(_mm512_cvtepi32_epi16(x), 6),
            (std::vector<std::int16_t>{0, -1, 32767, -32768, 32767, 0x5678}));
  EXPECT_EQ(first<std::int16_t>(_mm512_cvtsepi32_epi16(x), 6),
            (std::vector<std::int16_t>{0, -1, 32767, 32767, -32768, 32767}));
}

TEST(EmulatedAvx512, NarrowIntegersAreWidened) {
  const I shorts = repeat<I, std::uint16_t>({0, 1, 0x7fff, 0x8000, 0xffff});
  EXPECT_EQ(first<std::int32_t>(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(shorts)), 5),
            (std::vector<std::int32_t>{0, 1, 0x7fff, 0x8000, 0xffff}));
  const I bytes = repeat<I, std::int8_t>({0, 1, 127, -128, -1});
  EXPECT_EQ(first<std::int16_t>(_mm512_cvtepi8_epi16(_mm512_castsi512_si256(bytes)), 5),
            (std::vector<std::int16_t>{0, 1, 127, -128, -1}));
}

TEST(EmulatedAvx512, IntegersAndReals) {
  // 2^24 + 1 lies between two float32: the even one.
  EXPECT_EQ(first<float>(_mm512_cvtepi32_ps(repeat<I>({0, -7, (1 << 24) + 1, INT32_MIN})), 4),
            (std::vector{0.0F, -7.0F, 0x1p24F, -0x1p31F}));
  const F x = repeat<F>({0.5F, 1.5F, -2.5F, 2.51F, 0x1p31F, -0x1p31F, NAN, -kInf});
  EXPECT_EQ(first<std::int32_t>(_mm512_cvtps_epi32(x), 8),
            (std::vector{0, 2, -2, 3, INT32_MIN, INT32_MIN, INT32_MIN, INT32_MIN}));
}

TEST(EmulatedAvx512, Shifts) {
  const I x = repeat<I>({8, -8, -1, INT32_MIN});
  EXPECT_EQ(first<std::int32_t>(_mm512_srai_epi32(x, 2), 4),
            (std::vector{2, -2, -1, INT32_MIN / 4}));
  EXPECT_EQ(first<std::int32_t>(_mm512_srai_epi32(x, 40), 4), (std::vector{0, -1, -1, -1}));
  EXPECT_EQ(first<std::int32_t>(_mm512_srli_epi32(x, 28), 4), (std::vector{0, 15, 15, 8}));
  EXPECT_EQ(first<std::int32_t>(_mm512_slli_epi32(x, 28), 4),
            (std::vector<std::int32_t>{INT32_MIN, INT32_MIN, -(1 << 28), 0}));
}

TEST(EmulatedAvx512, ProductsOf16BitsAreAddedInPairs) {
  const I a = repeat<I, std::int16_t>({3, -4, 32767, 32767, -32768, 0});
  const I b = repeat<I, std::int16_t>({5, 6, 32767, -32767, -32768, 9});
  EXPECT_EQ(first<std::int32_t>(_mm512_madd_epi16(a, b), 3), (std::vector{-9, 0, 1 << 30}));
  EXPECT_EQ(first<std::int32_t>(avx512::accumulate_products(_mm512_set1_epi32(7), a, b), 3),
            (std::vector{-2, 7, (1 << 30) + 7}));
}

TEST(EmulatedAvx512, DotProductOfPairs) {
  EXPECT_EQ(dot(1, pair(2, 3), pair(5, 7)), 32);
  // The odd product comes first: 2^24 + 1 rounds to 2^24, and 1 is lost again behind it.
  EXPECT_EQ(dot(0x1p24F, pair(1, 1), pair(1, 1)), 0x1p24F);
  EXPECT_EQ(dot(1, pair(1, 0x1p24F), pair(1, 1)), 0x1p24F);
  EXPECT_EQ(dot(1, pair(0x1p24F, 1), pair(1, 1)), 0x1p24F + 2);
  EXPECT_EQ(dot(kInf, pair(1, 1), pair(1, 1)), kInf);
  EXPECT_TRUE(std::isnan(dot(kInf, pair(1, kInf), pair(1, -1))));
  EXPECT_TRUE(std::isnan(dot(0, pair(NAN, 1), pair(1, 1))));
}

TEST(EmulatedAvx512, DotProductTakesDenormalsForZero) {
  EXPECT_EQ(dot(0x1p-130F, 0, 0), 0);                                  // read
  EXPECT_EQ(dot(0, pair(0x1p-130F, 0), pair(0x1p100F, 0)), 0);         // read
  EXPECT_EQ(dot(0, pair(0x1p-70F, 0), pair(0x1p-60F, 0)), 0);          // written
  EXPECT_EQ(dot(0, pair(0x1p-70F, 0), pair(0x1p-56F, 0)), 0x1p-126F);  // normal
  EXPECT_TRUE(std::signbit(dot(0, pair(0x1p-70F, 0), pair(-0x1p-60F, 0))));
}

}  // namespace
}  // namespace gracemoe
