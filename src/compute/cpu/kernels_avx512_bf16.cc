#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <type_traits>
#include <utility>

#include "compute/cpu/fetch.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/vec_avx512.h"

#if defined(GM_EMULATED)
#define GM_TARGET_BF16
#else
#define GM_TARGET_BF16 \
  __attribute__((target("avx2,fma,avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#endif

namespace gracemoe {
namespace avx512::bf16_products {
namespace {

#include "compute/cpu/exponential.inc"
#include "compute/cpu/pack.inc"

constexpr std::size_t kTileRows = 12;
constexpr std::size_t kPanelVectors = kPanel / kLanes;

GM_TARGET_BF16 __attribute__((always_inline)) inline F dot(F sum, I a, std::uint32_t b) {
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(a),
                          reinterpret_cast<__m512bh>(_mm512_set1_epi32(static_cast<int>(b))));
}

// R rows by P panels of 32 outputs.
template <std::size_t R, std::size_t P>
GM_TARGET_BF16 void multiply_block(const std::uint32_t* x, const bf16* panels, std::size_t pairs,
                                   Ahead ahead, float* out, std::size_t out_stride) {
  constexpr std::size_t kVectors = P * kPanelVectors;
  F sum[R][kVectors];
#pragma GCC unroll 16
  for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = zero();
  }
  const std::size_t panel_size = pairs * kPanel * 2;
  for (std::size_t p = 0; p < pairs; ++p, x += R, panels += kPanel * 2) {
    fetch<kVectors * sizeof(I)>(ahead);
    I w[kVectors];
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) {
      w[v] = load_pairs(panels + v / kPanelVectors * panel_size + v % kPanelVectors * kLanes * 2);
    }
#pragma GCC unroll 16
    for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 16
      for (std::size_t v = 0; v < kVectors; ++v) sum[r][v] = dot(sum[r][v], w[v], x[r]);
    }
  }
#pragma GCC unroll 16
  for (std::size_t r = 0; r < R; ++r) {
#pragma GCC unroll 16
    for (std::size_t v = 0; v < kVectors; ++v) store(out + r * out_stride + v * kLanes, sum[r][v]);
  }
}

// As in product_whole.inc: few rows take more panels at once.
template <std::size_t R>
GM_TARGET_BF16 void multiply_rows(const std::byte* tile, const bf16* panels, std::size_t pairs,
                                  std::size_t count, const std::byte* next, float* out,
                                  std::size_t out_stride) {
  constexpr std::size_t kWide = R <= 2 ? 4 : R <= 5 ? 2 : 1;
  const auto* x = reinterpret_cast<const std::uint32_t*>(tile);
  const std::size_t panel_size = pairs * kPanel * 2;
  const auto ahead = [&](std::size_t p, std::size_t width) {
    return ahead_at(reinterpret_cast<const std::byte*>(panels), count * panel_size * sizeof(bf16),
                    next, (p + width) * panel_size * sizeof(bf16),
                    width * kPanelVectors * sizeof(I), tile);
  };
  std::size_t p = 0;
  for (; p + kWide <= count; p += kWide) {
    multiply_block<R, kWide>(x, panels + p * panel_size, pairs, ahead(p, kWide), out + p * kPanel,
                             out_stride);
  }
  for (; p < count; ++p) {
    multiply_block<R, 1>(x, panels + p * panel_size, pairs, ahead(p, 1), out + p * kPanel,
                         out_stride);
  }
}

template <std::size_t... R>
constexpr auto multiply_table(std::index_sequence<R...>) {
  return std::array{multiply_rows<R + 1>...};
}

void multiply(std::span<const ProductTile> tiles, const std::byte* panels, std::size_t pairs,
              std::size_t count, const std::byte* next) {
  static constexpr auto kByRows = multiply_table(std::make_index_sequence<kTileRows>());
  for_each_tile(tiles, next, [&](const ProductTile& tile, const std::byte* fetched) {
    kByRows[tile.rows - 1](tile.x, reinterpret_cast<const bf16*>(panels), pairs, count, fetched,
                           tile.out, tile.out_stride);
  });
}

GM_TARGET_BF16 double saturate(std::size_t rounds, float* out) {
  constexpr std::size_t kChains = 12;
  F sum[kChains];
#pragma GCC unroll 16
  for (std::size_t i = 0; i < kChains; ++i) sum[i] = zero();
  const I ones = _mm512_set1_epi32(0x3f803f80);
  for (std::size_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 16
    for (std::size_t i = 0; i < kChains; ++i) sum[i] = dot(sum[i], ones, 0x3f803f80);
  }
#pragma GCC unroll 16
  for (std::size_t i = 1; i < kChains; ++i) sum[0] = add(sum[0], sum[i]);
  store(out, sum[0]);
  return static_cast<double>(rounds) * kChains * kLanes * 2;
}

Kernels table() {
  Kernels kernels = avx512_kernels();
  kernels.rounded = {WeightFormat::kBf16, kTileRows, sizeof(bf16),    pack<KeepBf16>,
                     pack<RoundFloat>,    multiply,  gate_tile<bf16>, saturate};
  return kernels;
}

}  // namespace
}  // namespace avx512::bf16_products

Kernels avx512_bf16_kernels() {
  return avx512::bf16_products::table();
}

}  // namespace gracemoe
#endif
