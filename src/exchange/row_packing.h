// Rows of bf16 in fewer bytes, to the bit, for links between nodes that are slow enough: of every
// 128 numbers
//   u8 base, the largest exponent; u8 width w, 1 to 4; a byte a number, sign and mantissa; then by
//   how much its exponent is below the base, at most 2^w - 1, in w bits each, in planes as
//   packing.h has them; then for each number that has 2^w - 1 there a byte with its exponent; or,
//   base = 255, the numbers themselves: where any is infinite or NaN, or nothing would be gained.
// Activations, whose exponents carry 2.6 of their 8 bits, take about 11.4 bits a number so.
//
// Pure functions; vectorised by the compiler, for AVX2 where the machine has it.
#pragma once
#include <cstddef>
#include <span>

namespace gracemoe {

// Most bytes that `count` packed numbers take, and the least.
std::size_t packed_rows_bound(std::size_t count);
std::size_t packed_rows_least(std::size_t count);
// Packs `count` bf16 at `rows` (any alignment); returns the byte behind what it wrote to `out`,
// which has room for the bound.
std::byte* pack_rows(const std::byte* rows, std::size_t count, std::byte* out);
// Writes `count` bf16 to `rows` (any alignment). Returns how many bytes it read; 0 if these cannot
// be such rows.
std::size_t unpack_rows(std::span<const std::byte> bytes, std::size_t count, std::byte* rows);

}  // namespace gracemoe
