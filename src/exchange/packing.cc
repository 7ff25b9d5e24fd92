#include "exchange/packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "exchange/bit_planes.h"
#include "exchange/vector_clones.h"

namespace gracemoe {
namespace {

constexpr std::uint8_t kRaw = 255;
constexpr float kMiddle = 0x1.8p23F;
constexpr int kMostBits = 23;

using Floats = std::array<float, kPackedBlock>;

std::size_t block_bytes(std::size_t count, int width) {
  return width == kRaw ? count * sizeof(float) : packed_bytes(count, width);
}

// The multiples of the grid; returns their bits a number, kRaw where one is none.
GM_INLINE int to_integers(const Floats& x, float grid, Integers& out) {
  const float inverse = 1.0F / grid;
  std::uint32_t wrong = 0;
  std::int32_t magnitude = 0, any = 0;
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    // The integer in the last bits of a sum with kMiddle. Where it does not fit there it comes out
    // as another one, whose product below differs.
    const auto n =
        std::bit_cast<std::int32_t>(std::bit_cast<std::uint32_t>(x[i] * inverse + kMiddle) -
                                    std::bit_cast<std::uint32_t>(kMiddle));
    wrong |= std::bit_cast<std::uint32_t>(static_cast<float>(n) * grid) ^
             std::bit_cast<std::uint32_t>(x[i]);
    magnitude |= n ^ (n >> 31);
    any |= n;
    out[i] = n;
  }
  if (wrong != 0 || !(grid > 0) || std::isinf(grid)) return kRaw;
  const int width = any == 0 ? 0 : std::bit_width(static_cast<std::uint32_t>(magnitude)) + 1;
  return width > kMostBits ? kRaw : width;
}

// Returns the block's width. `out` has room for it and its numbers as float32.
GM_VECTOR_CLONES
int pack_block(const float* x, std::size_t count, float grid, std::uint8_t* out) {
  Floats values{};
  std::memcpy(values.data(), x, count * sizeof(float));
  Integers n;
  const int width = to_integers(values, grid, n);
  if (width == kRaw || packed_bytes(count, width) >= count * sizeof(float)) {
    std::memcpy(out, x, count * sizeof(float));
    return kRaw;
  }
  if (count == kPackedBlock)
    put_integers(n, kPackedBlock, width, out);
  else
    put_integers(n, padded(count), width, out);
  return width;
}

GM_VECTOR_CLONES
void unpack_block(const std::uint8_t* in, std::size_t count, int width, float grid,
                  std::byte* out) {
  Integers n{};
  Floats values{};
  if (count == kPackedBlock)
    take_integers(in, kPackedBlock, width, n);
  else
    take_integers(in, padded(count), width, n);
  const int unused = width == 0 ? 0 : 32 - width;  // for the sign
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    const auto high = static_cast<std::int32_t>(static_cast<std::uint32_t>(n[i]) << unused);
    values[i] = static_cast<float>(high >> unused) * grid;
  }
  std::memcpy(out, values.data(), count * sizeof(float));
}

}  // namespace

std::size_t packed_sums_bound(std::size_t count) {
  return count * sizeof(float) + (count + kPackedBlock - 1) / kPackedBlock;
}

std::byte* pack_sums(std::span<const float> sums, float grid, std::byte* out) {
  for (std::size_t at = 0; at < sums.size(); at += kPackedBlock) {
    const std::size_t count = std::min(kPackedBlock, sums.size() - at);
    const int width =
        pack_block(sums.data() + at, count, grid, reinterpret_cast<std::uint8_t*>(out + 1));
    *out = static_cast<std::byte>(width);
    out += 1 + block_bytes(count, width);
  }
  return out;
}

std::size_t unpack_sums(std::span<const std::byte> bytes, float grid, std::size_t count,
                        std::byte* sums) {
  std::size_t read = 0;
  for (std::size_t at = 0; at < count; at += kPackedBlock) {
    const std::size_t block = std::min(kPackedBlock, count - at);
    if (read == bytes.size()) return 0;
    const int width = std::to_integer<int>(bytes[read++]);
    const std::size_t size = block_bytes(block, width);
    if ((width > kMostBits && width != kRaw) || size > bytes.size() - read) return 0;
    if (width == kRaw)
      std::memcpy(sums + at * sizeof(float), bytes.data() + read, size);
    else
      unpack_block(reinterpret_cast<const std::uint8_t*>(bytes.data() + read), block, width, grid,
                   sums + at * sizeof(float));
    read += size;
  }
  return read;
}

}  // namespace gracemoe
