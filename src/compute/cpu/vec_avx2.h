// Vectors of 8 float32 for the kernel bodies (*.inc). The instruction set is asked for function by
// function, so that no other code of the file can come to need it.
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bf16.h"

#define GM_TARGET __attribute__((target("avx2,fma")))
#define GM_INLINE GM_TARGET __attribute__((always_inline)) inline

namespace gracemoe::avx2 {

constexpr std::size_t kLanes = 8;
using F = __m256;   // float32 lanes
using I = __m256i;  // as many 32-bit integers; a pair is two bf16 in one of them

GM_INLINE F load(const float* x) {
  return _mm256_loadu_ps(x);
}
GM_INLINE void store(float* x, F v) {
  _mm256_storeu_ps(x, v);
}
GM_INLINE F set1(float x) {
  return _mm256_set1_ps(x);
}
GM_INLINE F zero() {
  return _mm256_setzero_ps();
}
GM_INLINE F fma(F a, F b, F c) {
  return _mm256_fmadd_ps(a, b, c);
}
// fma(a, b, sum), in sum's own register: left to choose, g++ 12 overwrites factors, and with
// a kernel's sums filling the registers spills them.
GM_INLINE F accumulate(F sum, F a, F b) {
  asm("vfmadd231ps %2, %1, %0" : "+x"(sum) : "x"(a), "x"(b));
  return sum;
}
GM_INLINE F fms(F a, F b, F c) {
  return _mm256_fmsub_ps(a, b, c);
}
GM_INLINE F add(F a, F b) {
  return _mm256_add_ps(a, b);
}
GM_INLINE F sub(F a, F b) {
  return _mm256_sub_ps(a, b);
}
GM_INLINE F mul(F a, F b) {
  return _mm256_mul_ps(a, b);
}
GM_INLINE F div(F a, F b) {
  return _mm256_div_ps(a, b);
}
// Where either is NaN: b.
GM_INLINE F max(F a, F b) {
  return _mm256_max_ps(a, b);
}
GM_INLINE F min(F a, F b) {
  return _mm256_min_ps(a, b);
}

GM_INLINE I load_pairs(const void* x) {
  return _mm256_loadu_si256(static_cast<const I*>(x));
}
GM_INLINE F even(I pairs) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16));
}
GM_INLINE F odd(I pairs) {
  return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(-65536)));
}
GM_INLINE F widen(const void* x) {
  const __m128i bits = _mm_loadu_si128(static_cast<const __m128i*>(x));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
// Of the 2 * kLanes elements of a and b: the first, third, ...; the second, fourth, ...
GM_INLINE F in_order(F across) {
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(across), 0xd8));
}
GM_INLINE F evens(F a, F b) {
  return in_order(_mm256_shuffle_ps(a, b, 0x88));
}
GM_INLINE F odds(F a, F b) {
  return in_order(_mm256_shuffle_ps(a, b, 0xdd));
}
// The way back: a = first_half(evens(a, b), odds(a, b)), b = second_half(...).
GM_INLINE F first_half(F evens, F odds) {
  return _mm256_permute2f128_ps(_mm256_unpacklo_ps(evens, odds), _mm256_unpackhi_ps(evens, odds),
                                0x20);
}
GM_INLINE F second_half(F evens, F odds) {
  return _mm256_permute2f128_ps(_mm256_unpacklo_ps(evens, odds), _mm256_unpackhi_ps(evens, odds),
                                0x31);
}

// The bf16 bits of to_bf16(), in the lower halves.
GM_INLINE I round_bits(F x) {
  const I u = _mm256_castps_si256(x);
  const I high = _mm256_srli_epi32(u, 16);
  const I tie =
      _mm256_add_epi32(_mm256_and_si256(high, _mm256_set1_epi32(1)), _mm256_set1_epi32(0x7fff));
  const I rounded = _mm256_srli_epi32(_mm256_add_epi32(u, tie), 16);
  const I quiet = _mm256_or_si256(high, _mm256_set1_epi32(0x40));
  const I nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
  return _mm256_blendv_epi8(rounded, quiet, nan);
}
GM_INLINE void store_rounded(void* bf16s, F x) {
  const I bits = round_bits(x);
  const I packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(bits, bits), 0x08);
  _mm_storeu_si128(static_cast<__m128i*>(bf16s), _mm256_castsi256_si128(packed));
}
GM_INLINE F rounded(F x) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(round_bits(x), 16));
}

// 2 * kLanes int8 -> as many int16.
GM_INLINE I widen_bytes(const void* x) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128(static_cast<const __m128i*>(x)));
}
GM_INLINE I set1_pair(std::int32_t pair) {
  return _mm256_set1_epi32(pair);
}
// sum + a[0] * b[0] + a[1] * b[1] of every pair of int16, in sum's own register, as above.
GM_INLINE I accumulate_products(I sum, I a, I b) {
  const I products = _mm256_madd_epi16(a, b);
  asm("vpaddd %1, %0, %0" : "+x"(sum) : "x"(products));
  return sum;
}
// 2 * kLanes float32, rounded to integers of 16 bits.
GM_INLINE void store_int16(std::int16_t* y, F low, F high) {
  const I packed = _mm256_packs_epi32(_mm256_cvtps_epi32(low), _mm256_cvtps_epi32(high));
  _mm256_storeu_si256(reinterpret_cast<I*>(y), _mm256_permute4x64_epi64(packed, 0xd8));
}

GM_INLINE I to_int(F x) {
  return _mm256_cvtps_epi32(x);
}
GM_INLINE F to_real(I x) {
  return _mm256_cvtepi32_ps(x);
}
GM_INLINE I halve(I x) {
  return _mm256_srai_epi32(x, 1);
}
GM_INLINE I minus(I a, I b) {
  return _mm256_sub_epi32(a, b);
}
// 2^x for -126 <= x <= 127.
GM_INLINE F power_of_two(I x) {
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_add_epi32(x, _mm256_set1_epi32(127)), 23));
}

}  // namespace gracemoe::avx2
