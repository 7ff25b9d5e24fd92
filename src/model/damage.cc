#include "model/damage.h"

#include <charconv>
#include <climits>
#include <cstdint>
#include <cstring>
#include <map>
#include <string_view>

#include "base/progress.h"

namespace gracemoe {
namespace {

// The layer in a tensor's name; INT_MAX: none.
int layer_of(std::string_view name) {
  constexpr std::string_view kLayers = "model.layers.";
  int layer = INT_MAX;
  if (name.starts_with(kLayers))
    std::from_chars(name.data() + kLayers.size(), name.data() + name.size(), layer);
  return layer;
}

// Elements, perhaps unaligned, whose bits of the exponent are all set: infinities and NaN.
template <class Bits>
std::int64_t count_not_finite(std::span<const std::byte> bytes, Bits exponent) {
  std::int64_t count = 0;
  for (std::size_t at = 0; at + sizeof(Bits) <= bytes.size(); at += sizeof(Bits)) {
    Bits bits;
    std::memcpy(&bits, bytes.data() + at, sizeof(bits));
    count += (bits & exponent) == exponent ? 1 : 0;
  }
  return count;
}

std::int64_t count_not_finite(const TensorView& tensor) {
  switch (tensor.dtype) {
    case DType::kBF16:
      return count_not_finite<std::uint16_t>(tensor.bytes, 0x7f80);
    case DType::kF16:
      return count_not_finite<std::uint16_t>(tensor.bytes, 0x7c00);
    case DType::kF32:
      return count_not_finite<std::uint32_t>(tensor.bytes, 0x7f800000);
    default:
      return 0;
  }
}

}  // namespace

std::string damage(const Checkpoint& checkpoint, int first, int last) {
  std::multimap<int, std::pair<std::string, const TensorView*>> in_order;
  for (const auto& [name, tensor] : checkpoint.all()) {
    const int layer = layer_of(name);
    if (layer == INT_MAX || (layer >= first && layer <= last))
      in_order.emplace(layer, std::pair(name, tensor));
  }
  for (const auto& [layer, named] : in_order) {
    const std::int64_t count = count_not_finite(*named.second);
    if (count > 0)
      return "tensor '" + named.first + "' holds " + with_commas(count) +
             (count == 1 ? " value that is" : " values that are") +
             " not finite: the checkpoint is damaged, fetch it again";
  }
  return "the weights there are finite: numbers grew beyond what float32 holds, which this "
         "checkpoint should not do; compare it with its publisher's checksums";
}

}  // namespace gracemoe
