// Vectors of 16 float32 for the kernel bodies (*.inc); the functions are those of vec_avx2.h.
#pragma once
#if !defined(__clang__)
// g++ 12 takes the deliberately undefined operands inside these intrinsics for mistakes (its bug
// 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/bf16.h"

// Emulated (tests/compute/emulated), these functions are plain C++ that any x86-64 machine runs.
#if defined(GM_EMULATED)
#define GM_TARGET
#else
#define GM_TARGET __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq")))
#endif
#define GM_INLINE GM_TARGET __attribute__((always_inline)) inline

namespace gracemoe::avx512 {

constexpr std::size_t kLanes = 16;
using F = __m512;
using I = __m512i;

GM_INLINE F load(const float* x) {
  return _mm512_loadu_ps(x);
}
GM_INLINE void store(float* x, F v) {
  _mm512_storeu_ps(x, v);
}
GM_INLINE F set1(float x) {
  return _mm512_set1_ps(x);
}
GM_INLINE F zero() {
  return _mm512_setzero_ps();
}
GM_INLINE F fma(F a, F b, F c) {
  return _mm512_fmadd_ps(a, b, c);
}
// fma(a, b, sum), in sum's own register: left to choose, g++ 12 overwrites factors, and with
// a kernel's sums filling the registers spills them.
GM_INLINE F accumulate(F sum, F a, F b) {
#if defined(GM_EMULATED)
  return fma(a, b, sum);
#else
  asm("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b));
  return sum;
#endif
}
GM_INLINE F fms(F a, F b, F c) {
  return _mm512_fmsub_ps(a, b, c);
}
GM_INLINE F add(F a, F b) {
  return _mm512_add_ps(a, b);
}
GM_INLINE F sub(F a, F b) {
  return _mm512_sub_ps(a, b);
}
GM_INLINE F mul(F a, F b) {
  return _mm512_mul_ps(a, b);
}
GM_INLINE F div(F a, F b) {
  return _mm512_div_ps(a, b);
}
GM_INLINE F max(F a, F b) {
  return _mm512_max_ps(a, b);
}
GM_INLINE F min(F a, F b) {
  return _mm512_min_ps(a, b);
}

GM_INLINE I load_pairs(const void* x) {
  return _mm512_loadu_si512(x);
}
GM_INLINE F even(I pairs) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16));
}
GM_INLINE F odd(I pairs) {
  return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(-65536)));
}
GM_INLINE F widen(const void* x) {
  const __m256i bits = _mm256_loadu_si256(static_cast<const __m256i*>(x));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
// Lane i of a for i, of b for 16 + i.
GM_INLINE F evens(F a, F b) {
  const I from = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return _mm512_permutex2var_ps(a, from, b);
}
GM_INLINE F odds(F a, F b) {
  const I from = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return _mm512_permutex2var_ps(a, from, b);
}
GM_INLINE F first_half(F evens, F odds) {
  const I from = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return _mm512_permutex2var_ps(evens, from, odds);
}
GM_INLINE F second_half(F evens, F odds) {
  const I from = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return _mm512_permutex2var_ps(evens, from, odds);
}

GM_INLINE I round_bits(F x) {
  const I u = _mm512_castps_si512(x);
  const I high = _mm512_srli_epi32(u, 16);
  const I tie =
      _mm512_add_epi32(_mm512_and_si512(high, _mm512_set1_epi32(1)), _mm512_set1_epi32(0x7fff));
  const I rounded = _mm512_srli_epi32(_mm512_add_epi32(u, tie), 16);
  const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
  return _mm512_mask_or_epi32(rounded, nan, high, _mm512_set1_epi32(0x40));
}
GM_INLINE void store_rounded(void* bf16s, F x) {
  _mm256_storeu_si256(static_cast<__m256i*>(bf16s), _mm512_cvtepi32_epi16(round_bits(x)));
}
GM_INLINE F rounded(F x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(round_bits(x), 16));
}

GM_INLINE I widen_bytes(const void* x) {
  return _mm512_cvtepi8_epi16(_mm256_loadu_si256(static_cast<const __m256i*>(x)));
}
GM_INLINE I set1_pair(std::int32_t pair) {
  return _mm512_set1_epi32(pair);
}
// sum + a[0] * b[0] + a[1] * b[1] of every pair of int16, in sum's own register, as above.
GM_INLINE I accumulate_products(I sum, I a, I b) {
  const I products = _mm512_madd_epi16(a, b);
#if defined(GM_EMULATED)
  return _mm512_add_epi32(sum, products);
#else
  asm("vpaddd %1, %0, %0" : "+v"(sum) : "v"(products));
  return sum;
#endif
}
GM_INLINE void store_int16(std::int16_t* y, F low, F high) {
  auto* to = reinterpret_cast<__m256i*>(y);
  _mm256_storeu_si256(to, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(low)));
  _mm256_storeu_si256(to + 1, _mm512_cvtsepi32_epi16(_mm512_cvtps_epi32(high)));
}

GM_INLINE I to_int(F x) {
  return _mm512_cvtps_epi32(x);
}
GM_INLINE F to_real(I x) {
  return _mm512_cvtepi32_ps(x);
}
GM_INLINE I halve(I x) {
  return _mm512_srai_epi32(x, 1);
}
GM_INLINE I minus(I a, I b) {
  return _mm512_sub_epi32(a, b);
}
GM_INLINE F power_of_two(I x) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(x, _mm512_set1_epi32(127)), 23));
}

}  // namespace gracemoe::avx512
