#include "exchange/case_rows.h"

#include <cmath>
#include <cstring>

#include "base/bf16.h"

namespace gracemoe {

float element_at(const std::byte* row, int i, Element element) {
  if (element == Element::kFloat32) {
    float value = 0;
    std::memcpy(&value, row + 4 * std::ptrdiff_t{i}, sizeof value);
    return value;
  }
  bf16 value;
  std::memcpy(&value, row + 2 * std::ptrdiff_t{i}, sizeof value);
  return to_float(value);
}

void set_element(std::byte* row, int i, Element element, float value) {
  if (element == Element::kFloat32) {
    std::memcpy(row + 4 * std::ptrdiff_t{i}, &value, sizeof value);
  } else {
    const bf16 rounded = to_bf16(value);
    std::memcpy(row + 2 * std::ptrdiff_t{i}, &rounded, sizeof rounded);
  }
}

void stand_in_expert(int expert, const std::byte* row, int hidden, Element element,
                     std::byte* out) {
  const float scale = 1.0F + static_cast<float>(expert) / 7.0F;
  for (int i = 0; i < hidden; ++i) {
    set_element(out, i, element, scale * element_at(row, (i + expert) % hidden, element));
  }
}

float on_grid(float value, float grid) {
  if (grid == 0) return value;
  const auto g = static_cast<double>(grid);
  return static_cast<float>(std::nearbyint(static_cast<double>(value) / g) * g);
}

}  // namespace gracemoe
