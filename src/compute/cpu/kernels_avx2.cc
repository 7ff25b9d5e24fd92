#if defined(__x86_64__)
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "compute/cpu/fetch.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/vec_avx2.h"

namespace gracemoe {
namespace avx2 {
namespace {

// 16 registers: 12 accumulators, two pairs of weights, one value of x.
constexpr std::size_t kTileRows = 6;
constexpr std::size_t kSideSums = 12;
constexpr std::size_t kSideNear = 256;  // bytes ahead in each panel
constexpr std::size_t kSideNearInt8 = 512;
constexpr std::size_t kQueryGroup = 6;  // of attention; two vectors of sums each

#include "compute/cpu/exponential.inc"
#include "compute/cpu/int8.inc"
#include "compute/cpu/pack.inc"
#include "compute/cpu/product.inc"
#include "compute/cpu/product_parts.inc"
#include "compute/cpu/side.inc"
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
      multiply_int8_few,   gate_rows, saturate_int8};
  for (ProductKernels* product : {&kernels.rounded, &kernels.exact, &kernels.int8}) {
    product->most_panels = 2 * kSidePanels;
    product->fewest_panels = kSidePanels;
  }
  kernels.rms_norm = rms_norm;
  kernels.rotate = rotate;
  kernels.store = store_rows;
  kernels.attend = attend;
  kernels.exponential = exponentials;
  return kernels;
}

}  // namespace
}  // namespace avx2

Kernels avx2_kernels() {
  return avx2::table();
}

}  // namespace gracemoe
#endif
