#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "compute/cpu/fetch.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/vec_avx512.h"

namespace gracemoe {
namespace avx512 {
namespace {

// 32 registers: 24 accumulators, the rest for weights and x.
constexpr std::size_t kTileRows = 12;
constexpr std::size_t kWideRows = 3;
constexpr std::size_t kWideVectors = 8;
constexpr std::size_t kHalfRows = 6;
constexpr std::size_t kQueryGroup = 8;  // of attention; two vectors of sums each

#include "compute/cpu/exponential.inc"
#include "compute/cpu/int8.inc"
#include "compute/cpu/pack.inc"
#include "compute/cpu/product.inc"
#include "compute/cpu/product_whole.inc"
#include "compute/cpu/vector.inc"
// After vector.inc, whose 16 lanes it uses.
#include "compute/cpu/attention_lone.inc"
// After attention_lone.inc, for the lone queries.
#include "compute/cpu/attention.inc"

Kernels table() {
  Kernels kernels;
  kernels.rounded = {WeightFormat::kBf16,      kTileRows, sizeof(float),    pack<WidenBf16>,
                     pack<RoundAndWidenFloat>, multiply,  gate_tile<float>, saturate};
  kernels.exact = {WeightFormat::kBf16, kTileRows, sizeof(float), nullptr,
                   pack<KeepFloat>,     multiply,  nullptr};
  kernels.int8 = {
      WeightFormat::kInt8, kTileRows, sizeof(std::int16_t), pack_int8<std::byte>, pack_int8<float>,
      multiply_int8,       gate_rows, saturate_int8};
  kernels.rms_norm = rms_norm;
  kernels.rotate = rotate;
  kernels.store = store_rows;
  kernels.attend = attend;
  kernels.exponential = exponentials;
  return kernels;
}

}  // namespace
}  // namespace avx512

Kernels avx512_kernels() {
  return avx512::table();
}

}  // namespace gracemoe
#endif
