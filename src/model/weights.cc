#include "model/weights.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "base/progress.h"

namespace gracemoe {
namespace {

// Elements that may lie unaligned -> bf16; returns how many were rounded.
template <class Element, class Widen>
std::size_t convert(std::span<const std::byte> bytes, const Widen& widen, std::vector<bf16>& to) {
  std::size_t rounded = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    Element element;
    std::memcpy(&element, bytes.data() + i * sizeof(Element), sizeof(Element));
    const float value = widen(element);
    to[i] = to_bf16(value);
    rounded += to_float(to[i]) != value && !std::isnan(value) ? 1 : 0;
  }
  return rounded;
}

std::size_t convert(const TensorView& tensor, std::vector<bf16>& to) {
  switch (tensor.dtype) {
    case DType::kF32:
      return convert<float>(
          tensor.bytes, [](float x) { return x; }, to);
    case DType::kF16:
      return convert<std::uint16_t>(tensor.bytes, half_to_float, to);
    default:
      GM_CHECK(tensor.dtype == DType::kBF16, "weights of a type that is not converted");
      return convert<bf16>(
          tensor.bytes, [](bf16 x) { return to_float(x); }, to);
  }
}

}  // namespace

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = std::uint32_t{bits & 0x8000U} << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fU;
  const std::uint32_t fraction = bits & 0x3ffU;
  if (exponent == 0) {  // zero and the numbers below 2^-14: fraction * 2^-24
    const float value = static_cast<float>(fraction) * 0x1p-24F;
    return sign != 0 ? -value : value;
  }
  const std::uint32_t wide = exponent == 31 ? 255 : exponent + 112;
  return std::bit_cast<float>(sign | (wide << 23) | (fraction << 13));
}

Bf16Weights bf16_weights(const TensorView& tensor, WeightRounding rounding,
                         const std::string& name) {
  const bool aligned = reinterpret_cast<std::uintptr_t>(tensor.bytes.data()) % alignof(bf16) == 0;
  if (tensor.dtype == DType::kBF16 && aligned) return {tensor.as<bf16>(), nullptr};
  auto converted =
      std::make_shared<std::vector<bf16>>(tensor.bytes.size() / dtype_size(tensor.dtype));
  const std::size_t rounded = convert(tensor, *converted);
  if (rounded > 0 && rounding == WeightRounding::kRefuse) {
    fail_input({.what = name,
                .got = std::string(dtype_name(tensor.dtype)) + " with " +
                       with_commas(static_cast<std::int64_t>(rounded)) + " of " +
                       with_commas(static_cast<std::int64_t>(converted->size())) +
                       " values that bf16 does not hold",
                .wanted = "weights that bf16 holds exactly",
                .action = "--round-weights takes the nearest bf16 of each, which changes results a "
                          "little"});
  }
  return {*converted, converted};
}

}  // namespace gracemoe
