// AVX-512's intrinsics in plain C++ and AVX2, by SIMDe, under their own names. Included ahead of
// the kernels' sources, so that tests run them on machines without these sets. What SIMDe 0.7.4
// lacks is here, from Intel's definition of each.
#pragma once
#include <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

#pragma GCC diagnostic ignored \
    "-Wignored-attributes"  // alignment, of vectors as template arguments

#if defined(__AVX512F__) || !defined(__AVX2__) || !defined(__FMA__)
#error "compile with -mavx2 -mfma and no AVX-512: SIMDe would call what is to be emulated"
#endif

namespace gracemoe::emulated {

#define GM_EMULATED_INLINE __attribute__((always_inline)) inline

// make(i) for the elements of a vector To.
template <class To, class Element, class Make>
GM_EMULATED_INLINE To vector_of(const Make& make) {
  alignas(64) Element elements[sizeof(To) / sizeof(Element)];
  for (std::size_t i = 0; i < sizeof(To) / sizeof(Element); ++i) elements[i] = make(i);
  To to;
  std::memcpy(&to, elements, sizeof(To));
  return to;
}

template <class Element, class From>
struct Elements {
  alignas(64) Element at[sizeof(From) / sizeof(Element)];
  GM_EMULATED_INLINE explicit Elements(From from) { std::memcpy(at, &from, sizeof(From)); }
  GM_EMULATED_INLINE Element operator[](std::size_t i) const { return at[i]; }
};

GM_EMULATED_INLINE __m256i cvtepi32_epi16(__m512i x) {
  const Elements<std::int32_t, __m512i> from(x);
  return vector_of<__m256i, std::int16_t>(
      [&](std::size_t i) { return static_cast<std::int16_t>(from[i]); });
}

GM_EMULATED_INLINE __m512i cvtepu16_epi32(__m256i x) {
  const Elements<std::uint16_t, __m256i> from(x);
  return vector_of<__m512i, std::int32_t>([&](std::size_t i) { return from[i]; });
}

GM_EMULATED_INLINE __m512 cvtepi32_ps(__m512i x) {
  const Elements<std::int32_t, __m512i> from(x);
  return vector_of<__m512, float>([&](std::size_t i) { return static_cast<float>(from[i]); });
}

// To nearest, ties to even; what no int32 can hold becomes the smallest one.
GM_EMULATED_INLINE __m512i cvtps_epi32(__m512 x) {
  const Elements<float, __m512> from(x);
  return vector_of<__m512i, std::int32_t>([&](std::size_t i) {
    const float nearest = std::nearbyint(from[i]);
    return nearest >= -0x1p31F && nearest < 0x1p31F ? static_cast<std::int32_t>(nearest)
                                                    : INT32_MIN;
  });
}

GM_EMULATED_INLINE __m512i srai_epi32(__m512i x, unsigned count) {
  const Elements<std::int32_t, __m512i> from(x);
  return vector_of<__m512i, std::int32_t>(
      [&](std::size_t i) { return from[i] >> (count < 32 ? count : 31); });
}

// vdpbf16ps reads denormal numbers as zeros and writes zeros for them, of the same sign.
GM_EMULATED_INLINE float flushed(float x) {
  return std::abs(x) < 0x1p-126F ? std::copysign(0.0F, x) : x;
}

// sum[i] += a[2 i + 1] b[2 i + 1], then += a[2 i] b[2 i], rounding to nearest each time. (SIMDe
// adds the products first.)
GM_EMULATED_INLINE __m512 dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  const Elements<float, __m512> sums(sum);
  const Elements<std::uint32_t, __m512bh> x(a), y(b);
  const auto real = [](std::uint32_t bits) {
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return flushed(value);
  };
  return vector_of<__m512, float>([&](std::size_t i) {
    constexpr std::uint32_t kHigh = 0xffff0000;
    const float first = flushed(std::fma(real(x[i] & kHigh), real(y[i] & kHigh), flushed(sums[i])));
    return flushed(std::fma(real(x[i] << 16), real(y[i] << 16), first));
  });
}

}  // namespace gracemoe::emulated

#undef _mm512_cvtepi32_epi16
#undef _mm512_cvtepu16_epi32
#undef _mm512_cvtepi32_ps
#undef _mm512_cvtps_epi32
#undef _mm512_srai_epi32
#undef _mm512_dpbf16_ps
#undef _mm512_madd_epi16  // which SIMDe gives two arguments too many
#define _mm512_cvtepi32_epi16(x) gracemoe::emulated::cvtepi32_epi16(x)
#define _mm512_cvtepu16_epi32(x) gracemoe::emulated::cvtepu16_epi32(x)
#define _mm512_cvtepi32_ps(x) gracemoe::emulated::cvtepi32_ps(x)
#define _mm512_cvtps_epi32(x) gracemoe::emulated::cvtps_epi32(x)
#define _mm512_srai_epi32(x, count) gracemoe::emulated::srai_epi32(x, count)
#define _mm512_dpbf16_ps(sum, a, b) gracemoe::emulated::dpbf16_ps(sum, a, b)
#define _mm512_madd_epi16(a, b) simde_mm512_madd_epi16(a, b)
