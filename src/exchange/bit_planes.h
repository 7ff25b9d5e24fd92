// Blocks of small integers in planes of bits, as packing.h says.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "exchange/packing.h"
#include "exchange/vector_clones.h"

namespace gracemoe {

using Integers = std::array<std::int32_t, kPackedBlock>;
using Octets = std::array<std::uint8_t, kPackedBlock>;

GM_INLINE std::size_t padded(std::size_t count) {
  return (count + 7) / 8 * 8;
}

// Of so many integers.
GM_INLINE std::size_t packed_bytes(std::size_t count, int width) {
  return padded(count) * static_cast<std::size_t>(width) / 8;
}

// A plane of kBits bits of each of the bytes `v`, and back: those bits of `v`, which were 0.
template <int kBits>
GM_INLINE void put_plane(const Octets& v, std::size_t bytes, std::uint8_t* __restrict out) {
  constexpr unsigned kMask = (1U << kBits) - 1;
  for (std::size_t q = 0; q < bytes; ++q) {
    unsigned x = 0;
    for (std::size_t part = 0; part < 8 / kBits; ++part)
      x |= (v[q + part * bytes] & kMask) << (part * kBits);
    out[q] = static_cast<std::uint8_t>(x);
  }
}
template <int kBits>
GM_INLINE void take_plane(const std::uint8_t* __restrict in, std::size_t bytes, Octets& v) {
  constexpr unsigned kMask = (1U << kBits) - 1;
  for (std::size_t part = 0; part < 8 / kBits; ++part)
    for (std::size_t q = 0; q < bytes; ++q)
      v[q + part * bytes] = static_cast<std::uint8_t>((in[q] >> (part * kBits)) & kMask);
}

// Calls plane(lowest bit, bits as a constant) for each plane of numbers of `width` bits.
template <typename Plane>
GM_INLINE void for_each_plane(int width, Plane plane) {
  int shift = 0;
  for (; width - shift >= 8; shift += 8) plane(shift, std::integral_constant<int, 8>());
  if ((width & 4) != 0) plane(shift, std::integral_constant<int, 4>()), shift += 4;
  if ((width & 2) != 0) plane(shift, std::integral_constant<int, 2>()), shift += 2;
  if ((width & 1) != 0) plane(shift, std::integral_constant<int, 1>());
}

// `padded` is a constant where this is inlined for a whole block.
template <typename Block>
GM_INLINE void put_integers(const Block& n, std::size_t padded, int width, std::uint8_t* out) {
  Octets octets;
  for_each_plane(width, [&](int shift, auto bits) {
    for (std::size_t i = 0; i < kPackedBlock; ++i)
      octets[i] = static_cast<std::uint8_t>(n[i] >> shift);
    put_plane<bits()>(octets, padded * bits() / 8, out);
    out += padded * bits() / 8;
  });
}
template <typename Block>
GM_INLINE void take_integers(const std::uint8_t* in, std::size_t padded, int width, Block& n) {
  using Integer = typename Block::value_type;
  Octets octets{};
  for_each_plane(width, [&](int shift, auto bits) {
    take_plane<bits()>(in, padded * bits() / 8, octets);
    for (std::size_t i = 0; i < kPackedBlock; ++i)
      n[i] = static_cast<Integer>(static_cast<std::uint32_t>(n[i]) |
                                  (std::uint32_t{octets[i]} << shift));
    in += padded * bits() / 8;
  });
}

}  // namespace gracemoe
