#include <algorithm>
#include <cstdint>
#include <cstring>

#include "compute/cpu/packed_matrix.h"

namespace gracemoe {
namespace {

constexpr std::size_t kLine = 32;  // elements of a cache line

// Elements [first, last) of a row (null: zeros) -> pairs, a panel's width apart.
void pack_line(const bf16* row, std::size_t first, std::size_t last, bf16* to) {
  constexpr bf16 kZero[2] = {};
  std::size_t k = first;
  for (; k + 2 <= last; k += 2, to += kPanel * 2) {
    std::memcpy(to, row ? row + k : kZero, sizeof(kZero));
  }
  if (k == last) return;
  to[0] = row ? row[k] : bf16{};
  to[1] = bf16{};
}

// Four pairs. 16 bytes: what every x86-64 has registers for.
using Quad = std::uint32_t __attribute__((vector_size(16)));

Quad load(const bf16* from) {
  Quad quad;
  std::memcpy(&quad, from, sizeof(quad));
  return quad;
}

// A line of each of four rows, 16 pairs -> their places in the panel.
void pack_lines(const bf16* const* lines, bf16* to) {
  for (std::size_t pair = 0; pair < kLine / 2; pair += 4) {
    const Quad a = load(lines[0] + 2 * pair), b = load(lines[1] + 2 * pair);
    const Quad c = load(lines[2] + 2 * pair), d = load(lines[3] + 2 * pair);
    const Quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
    const Quad ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    const Quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
    const Quad cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    const Quad columns[4] = {__builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5),
                             __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7),
                             __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5),
                             __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7)};
    for (std::size_t p = 0; p < 4; ++p) {
      std::memcpy(static_cast<void*>(to + (pair + p) * kPanel * 2), &columns[p], sizeof(Quad));
    }
  }
}

}  // namespace

void pack_bf16_panel(const bf16* const* rows, std::size_t in, bf16* panel) {
  static constexpr bf16 kZeros[kLine] = {};
  std::size_t first = 0;
  for (; first + kLine <= in; first += kLine) {
    for (std::size_t c = 0; c < kPanel; c += 4) {
      const bf16* lines[4];
      for (std::size_t i = 0; i < 4; ++i) lines[i] = rows[c + i] ? rows[c + i] + first : kZeros;
      pack_lines(lines, panel + (first * kPanel + c * 2));
    }
  }
  for (std::size_t c = 0; c < kPanel; ++c) {
    pack_line(rows[c], first, in, panel + (first * kPanel + c * 2));
  }
}

}  // namespace gracemoe
