#include "exchange/row_packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "exchange/bit_planes.h"
#include "exchange/vector_clones.h"

namespace gracemoe {
namespace {

constexpr std::uint8_t kRaw = 255;
constexpr int kMostBits = 4;
constexpr std::size_t kHead = 2;  // base and width

using Numbers = std::array<std::uint16_t, kPackedBlock>;

// The numbers that no code of the width holds.
GM_INLINE std::size_t count_escapes(const Octets& below, int width) {
  const auto last = static_cast<std::uint8_t>((1U << width) - 1);
  std::uint8_t count = 0;
  for (std::size_t i = 0; i < kPackedBlock; ++i)
    count = static_cast<std::uint8_t>(count + (below[i] >= last ? 1 : 0));
  return count;
}

// Calls visit(i) for each i with escape[i] = 1, ascending; the others are 0. Few are.
template <typename Visit>
GM_INLINE void for_each_escape(const Octets& escape, Visit visit) {
  for (std::size_t i = 0; i < kPackedBlock; i += sizeof(std::uint64_t)) {
    std::uint64_t some = 0;
    std::memcpy(&some, escape.data() + i, sizeof some);
    for (; some != 0; some &= some - 1)
      visit(i + static_cast<std::size_t>(std::countr_zero(some)) / 8);
  }
}

// The width of the fewest bytes; `bytes`: codes and escapes. Numbers beyond `count` are as the
// base.
GM_INLINE int best_width(const Octets& below, std::size_t count, std::size_t& bytes) {
  int best = 0;
  bytes = 2 * kPackedBlock;
  for (int width = 1; width <= kMostBits; ++width) {
    const std::size_t its = packed_bytes(count, width) + count_escapes(below, width);
    if (its >= bytes) continue;
    bytes = its;
    best = width;
  }
  return best;
}

// Returns the byte behind the block.
GM_VECTOR_CLONES
std::uint8_t* pack_block(const std::byte* rows, std::size_t count, std::uint8_t* out) {
  Numbers x{};
  std::memcpy(x.data(), rows, count * sizeof x[0]);
  Octets exponent, below;
  std::uint8_t base = 0;
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    exponent[i] = static_cast<std::uint8_t>(x[i] >> 7);
    base = std::max(base, exponent[i]);
  }
  for (std::size_t i = count; i < kPackedBlock; ++i) exponent[i] = base;
  for (std::size_t i = 0; i < kPackedBlock; ++i)
    below[i] = static_cast<std::uint8_t>(base - exponent[i]);
  std::size_t bytes = 0;
  const int width = best_width(below, count, bytes);
  *out++ = base;
  if (base == kRaw || kHead + count + bytes > 2 * count) {
    out[-1] = kRaw;
    std::memcpy(out, rows, count * sizeof x[0]);
    return out + count * sizeof x[0];
  }
  *out++ = static_cast<std::uint8_t>(width);
  Octets rest;
  for (std::size_t i = 0; i < kPackedBlock; ++i)
    rest[i] = static_cast<std::uint8_t>(((x[i] >> 8) & 0x80U) | (x[i] & 0x7fU));
  std::memcpy(out, rest.data(), count);
  out += count;
  const auto last = static_cast<std::uint8_t>((1U << width) - 1);
  Octets code, escape;
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    code[i] = std::min(below[i], last);
    escape[i] = below[i] >= last ? 1 : 0;
  }
  if (count == kPackedBlock)
    put_integers(code, kPackedBlock, width, out);
  else
    put_integers(code, padded(count), width, out);
  out += packed_bytes(count, width);
  for_each_escape(escape, [&](std::size_t i) { *out++ = exponent[i]; });
  return out;
}

// `in`: behind the head. Returns how many of its `left` bytes are the block's; 0 if these cannot
// be.
GM_VECTOR_CLONES
std::size_t unpack_block(const std::uint8_t* in, std::size_t left, std::size_t count,
                         std::uint8_t base, int width, std::byte* rows) {
  std::size_t read = count + packed_bytes(count, width);
  if (read > left) return 0;
  Octets rest{}, code{};
  std::memcpy(rest.data(), in, count);
  if (count == kPackedBlock)
    take_integers(in + count, kPackedBlock, width, code);
  else
    take_integers(in + count, padded(count), width, code);
  const auto last = static_cast<std::uint8_t>((1U << width) - 1);
  Octets exponent, escape;
  for (std::size_t i = 0; i < kPackedBlock; ++i) {
    exponent[i] = static_cast<std::uint8_t>(base - code[i]);
    escape[i] = code[i] == last ? 1 : 0;
  }
  std::fill(escape.begin() + static_cast<std::ptrdiff_t>(count), escape.end(), std::uint8_t{0});
  std::size_t escapes = 0;
  for (const std::uint8_t e : escape) escapes += e;
  if (escapes > left - read) return 0;
  for_each_escape(escape, [&](std::size_t i) { exponent[i] = in[read++]; });
  Numbers x;
  for (std::size_t i = 0; i < kPackedBlock; ++i)
    x[i] = static_cast<std::uint16_t>(((rest[i] & 0x80U) << 8) | (std::uint32_t{exponent[i]} << 7) |
                                      (rest[i] & 0x7fU));
  std::memcpy(rows, x.data(), count * sizeof x[0]);
  return read;
}

std::size_t blocks_of(std::size_t count) {
  return (count + kPackedBlock - 1) / kPackedBlock;
}

}  // namespace

std::size_t packed_rows_bound(std::size_t count) {
  return 2 * count + blocks_of(count);
}

std::size_t packed_rows_least(std::size_t count) {
  return count;
}

std::byte* pack_rows(const std::byte* rows, std::size_t count, std::byte* out) {
  auto* at = reinterpret_cast<std::uint8_t*>(out);
  for (std::size_t i = 0; i < count; i += kPackedBlock)
    at = pack_block(rows + 2 * i, std::min(kPackedBlock, count - i), at);
  return reinterpret_cast<std::byte*>(at);
}

std::size_t unpack_rows(std::span<const std::byte> bytes, std::size_t count, std::byte* rows) {
  const auto* in = reinterpret_cast<const std::uint8_t*>(bytes.data());
  std::size_t read = 0;
  for (std::size_t i = 0; i < count; i += kPackedBlock) {
    const std::size_t block = std::min(kPackedBlock, count - i);
    if (bytes.size() - read < kHead) return 0;
    const std::uint8_t base = in[read];
    if (base == kRaw) {
      if (bytes.size() - ++read < 2 * block) return 0;
      std::memcpy(rows + 2 * i, in + read, 2 * block);
      read += 2 * block;
      continue;
    }
    const int width = in[read + 1];
    read += kHead;
    if (width < 1 || width > kMostBits) return 0;
    const std::size_t its =
        unpack_block(in + read, bytes.size() - read, block, base, width, rows + 2 * i);
    if (its == 0) return 0;
    read += its;
  }
  return read;
}

}  // namespace gracemoe
