#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "compute/cpu/packed_matrix.h"

namespace gracemoe {
namespace {

constexpr std::size_t kStaged = 2048;  // elements of each row that are brought near at a time
constexpr std::size_t kBesides = 32;   // a line more, or rows a page apart would evict each other
constexpr std::size_t kSquare = 8;     // elements of 16 bytes: four pairs of each of four rows
constexpr std::size_t kSquares = 4;    // side by side: what is written is whole cache lines

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

// Four pairs of each of four rows -> of each pair the rows' columns, kSquares apart.
void transpose(const bf16* from, std::size_t pitch, Quad* to) {
  const Quad a = load(from), b = load(from + pitch);
  const Quad c = load(from + 2 * pitch), d = load(from + 3 * pitch);
  const Quad ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5);
  const Quad ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
  const Quad cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5);
  const Quad cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
  to[0] = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
  to[kSquares] = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
  to[2 * kSquares] = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
  to[3 * kSquares] = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}

// Past the caches: nothing reads a panel before its model is loaded.
void stream(Quad quad, bf16* to) {
#if defined(__x86_64__)
  __m128i bits;
  std::memcpy(&bits, &quad, sizeof(bits));
  _mm_stream_si128(reinterpret_cast<__m128i*>(to), bits);
#else
  std::memcpy(to, &quad, sizeof(quad));
#endif
}

// What was streamed is in memory before anything that is written from here on.
void end_stream() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}

// Rows [kPanel, pitch] -> pairs a panel's width apart, `count` elements of each, of kSquare a time.
void pack_rows(const bf16* rows, std::size_t pitch, std::size_t count, bf16* to) {
  constexpr std::size_t kPairs = kSquare / 2, kRows = 4;
  for (std::size_t k = 0; k < count; k += kSquare) {
    for (std::size_t c = 0; c < kPanel; c += kSquares * kRows) {
      Quad quads[kPairs * kSquares];
      for (std::size_t s = 0; s < kSquares; ++s)
        transpose(rows + (c + s * kRows) * pitch + k, pitch, quads + s);
      for (std::size_t q = 0; q < kPairs * kSquares; ++q)
        stream(quads[q], to + (k / 2 + q / kSquares) * kPanel * 2 + c * 2 + q % kSquares * kSquare);
    }
  }
}

}  // namespace

void pack_bf16_panel(const bf16* const* rows, std::size_t in, bf16* panel) {
  GM_CHECK(reinterpret_cast<std::uintptr_t>(panel) % sizeof(Quad) == 0, "a panel not aligned");
  const std::size_t whole = in / kSquare * kSquare;
  const std::size_t pitch = std::min(whole, kStaged) + kBesides;
  const auto staged = std::make_unique_for_overwrite<bf16[]>(kPanel * pitch);
  for (std::size_t first = 0; first < whole; first += kStaged) {
    const std::size_t count = std::min(kStaged, whole - first);
    for (std::size_t c = 0; c < kPanel; ++c) {
      bf16* to = staged.get() + c * pitch;
      if (rows[c] != nullptr)
        std::copy_n(rows[c] + first, count, to);
      else
        std::fill_n(to, count, bf16{});
    }
    pack_rows(staged.get(), pitch, count, panel + first * kPanel);
  }
  end_stream();
  for (std::size_t c = 0; c < kPanel; ++c)
    pack_line(rows[c], whole, in, panel + (whole * kPanel + c * 2));
}

}  // namespace gracemoe
