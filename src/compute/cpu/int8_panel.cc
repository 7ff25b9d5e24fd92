#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "compute/cpu/packed_matrix.h"

namespace gracemoe {
namespace {

// n <= kInt8Block weights -> int8, n of them; returns their scale.
bf16 quantize(const bf16* weights, std::size_t n, std::int8_t* quantized) {
  float value[kInt8Block];
  float most = 0, nan = 0;
  for (std::size_t i = 0; i < n; ++i) {
    value[i] = to_float(weights[i]);
    most = std::max(most, std::abs(value[i]));
    nan += value[i] * 0.0F;
  }
  const bf16 scale = to_bf16(most / 127 + nan);
  const float unit = to_float(scale);
  const float factor = unit > 0 && std::isfinite(unit) ? 1 / unit : 0.0F;
  for (std::size_t i = 0; i < n; ++i) {
    // Clamped before it is rounded: a scale that was rounded down lets 127.3 arise, and a tiny one
    // infinity.
    const float q = std::isfinite(factor) ? std::clamp(value[i] * factor, -127.0F, 127.0F) : 0.0F;
    quantized[i] = static_cast<std::int8_t>(std::lrint(nan == 0 ? q : 0.0F));
  }
  return scale;
}

}  // namespace

void pack_int8_panel(const bf16* const* rows, std::size_t in, std::byte* panel) {
  for (std::size_t first = 0; first < in; first += kInt8Block, panel += kInt8PanelBlock) {
    auto* to = reinterpret_cast<std::int8_t*>(panel);
    std::byte* scales = panel + kInt8Block * kPanel;
    const std::size_t n = std::min(kInt8Block, in - first);
    for (std::size_t c = 0; c < kPanel; ++c) {
      std::int8_t quantized[kInt8Block] = {};
      const bf16 scale = rows[c] == nullptr ? bf16{} : quantize(rows[c] + first, n, quantized);
      for (std::size_t p = 0; p < kInt8Block / 2; ++p) {
        std::memcpy(to + (p * kPanel + c) * 2, quantized + 2 * p, 2);
      }
      std::memcpy(scales + c * sizeof(bf16), &scale, sizeof(bf16));
    }
  }
}

}  // namespace gracemoe
