#include "exchange/packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "exchange/vector_clones.h"

namespace gracemoe {
namespace {

constexpr std::uint8_t kRaw = 255;
constexpr float kLimit = 0x1p22F;  // of the integers: float32 holds their products with the grid
constexpr int kMostBits = 23;

using Integers = std::array<std::int32_t, kPackedBlock>;
using Floats = std::array<float, kPackedBlock>;

std::size_t padded(std::size_t count) {
  return (count + 7) / 8 * 8;
}

// Of so many integers.
std::size_t packed_bytes(std::size_t count, int width) {
  return padded(count) * static_cast<std::size_t>(width) / 8;
}

// The multiples of the grid; returns their bits a number, kRaw where one is none. Integers beyond
// `count` are 0.
GM_VECTOR_CLONES
int to_integers(const float* __restrict x, std::size_t count, float grid,
                std::int32_t* __restrict out) {
  Floats values{};
  std::copy_n(x, count, values.begin());
  const float inverse = 1.0F / grid;
  std::uint32_t wrong = 0;
  std::int32_t magnitude = 0, any = 0;
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    const float scaled = values[i] * inverse;
    const float inside = scaled > -kLimit && scaled < kLimit ? scaled : 0.0F;  // also for NaN
    const auto n = static_cast<std::int32_t>(inside);
    wrong |= std::bit_cast<std::uint32_t>(static_cast<float>(n) * grid) ^
             std::bit_cast<std::uint32_t>(values[i]);
    magnitude |= n ^ (n >> 31);
    any |= n;
    out[i] = n;
  }
  if (wrong != 0 || !(grid > 0) || std::isinf(grid)) return kRaw;
  return any == 0 ? 0 : std::bit_width(static_cast<std::uint32_t>(magnitude)) + 1;
}

// Calls plane(lowest bit, bits) for each plane of numbers of `width` bits.
template <typename Plane>
void for_each_plane(int width, Plane plane) {
  int shift = 0;
  for (const int bits : {8, 8, 4, 2, 1}) {
    if (width - shift < bits) continue;
    plane(shift, bits);
    shift += bits;
  }
}

GM_VECTOR_CLONES
void put_plane(const std::int32_t* __restrict n, std::size_t count, int shift, int bits,
               std::uint8_t* __restrict out) {
  const std::size_t bytes = count * static_cast<std::size_t>(bits) / 8;
  const std::uint32_t mask = (1U << static_cast<unsigned>(bits)) - 1;
  std::fill_n(out, bytes, std::uint8_t{0});
  for (int part = 0; part * bits < 8; ++part) {
    const std::int32_t* its = n + static_cast<std::size_t>(part) * bytes;
    for (std::size_t q = 0; q < bytes; ++q)
      out[q] = static_cast<std::uint8_t>(
          out[q] | ((static_cast<std::uint32_t>(its[q] >> shift) & mask) << (part * bits)));
  }
}

GM_VECTOR_CLONES
void add_plane(const std::uint8_t* __restrict in, std::size_t count, int shift, int bits,
               std::int32_t* __restrict n) {
  const std::size_t bytes = count * static_cast<std::size_t>(bits) / 8;
  const std::uint32_t mask = (1U << static_cast<unsigned>(bits)) - 1;
  for (int part = 0; part * bits < 8; ++part) {
    std::int32_t* its = n + static_cast<std::size_t>(part) * bytes;
    for (std::size_t q = 0; q < bytes; ++q)
      its[q] |= static_cast<std::int32_t>(((std::uint32_t{in[q]} >> (part * bits)) & mask)
                                          << shift);
  }
}

// Sign extension from `width` >= 1 bits, and the grid.
GM_VECTOR_CLONES
void to_floats(const std::int32_t* __restrict n, int width, float grid, float* __restrict out) {
  const int unused = 32 - width;
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    const auto high = static_cast<std::int32_t>(static_cast<std::uint32_t>(n[i]) << unused);
    out[i] = static_cast<float>(high >> unused) * grid;
  }
}

void unpack_block(const std::byte* at, std::size_t count, int width, float grid, std::byte* out) {
  Integers n{};
  Floats values{};
  const auto* in = reinterpret_cast<const std::uint8_t*>(at);
  for_each_plane(width, [&](int shift, int bits) {
    add_plane(in, padded(count), shift, bits, n.data());
    in += padded(count) * static_cast<std::size_t>(bits) / 8;
  });
  if (width > 0) to_floats(n.data(), width, grid, values.data());
  std::memcpy(out, values.data(), count * sizeof(float));
}

}  // namespace

std::size_t packed_sums_bound(std::size_t count) {
  return count * sizeof(float) + (count + kPackedBlock - 1) / kPackedBlock;
}

std::byte* pack_sums(std::span<const float> sums, float grid, std::byte* out) {
  Integers n;
  for (std::size_t at = 0; at < sums.size(); at += kPackedBlock) {
    const std::size_t count = std::min(kPackedBlock, sums.size() - at);
    int width = to_integers(sums.data() + at, count, grid, n.data());
    if (packed_bytes(count, width) >= count * sizeof(float)) width = kRaw;
    *out++ = static_cast<std::byte>(width);
    if (width == kRaw) {
      std::memcpy(out, sums.data() + at, count * sizeof(float));
      out += count * sizeof(float);
      continue;
    }
    for_each_plane(width, [&](int shift, int bits) {
      put_plane(n.data(), padded(count), shift, bits, reinterpret_cast<std::uint8_t*>(out));
      out += padded(count) * static_cast<std::size_t>(bits) / 8;
    });
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
    const std::size_t size =
        width == kRaw ? block * sizeof(float) : packed_bytes(block, width);
    if ((width > kMostBits && width != kRaw) || size > bytes.size() - read) return 0;
    if (width == kRaw)
      std::memcpy(sums + at * sizeof(float), bytes.data() + read, size);
    else
      unpack_block(bytes.data() + read, block, width, grid, sums + at * sizeof(float));
    read += size;
  }
  return read;
}

}  // namespace gracemoe
