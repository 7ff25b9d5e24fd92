// Sums in fewer bytes, to the bit, for links between nodes.
//
// Sums that lie on a grid (exchange.h) are small integers: of every 128 numbers
//   u8 width w, then their integers in w bits each (two's complement), in planes of 8, 4, 2 and 1
//   bits, the lowest bits first; or, w = 255, the float32 themselves: where any of them is no such
//   integer of 23 bits, say off the grid, -0, infinite or NaN, or nothing would be gained.
// A plane of b < 8 bits of P numbers holds in its byte q the bits of the numbers q, q + bP/8, ...,
// so that loops over q need no shuffle. P is the count of the numbers, up to a multiple of 8.
//
// Pure functions; vectorised by the compiler, for AVX2 where the machine has it.
#pragma once
#include <cstddef>
#include <span>

namespace gracemoe {

constexpr std::size_t kPackedBlock = 128;

// Most bytes that `count` packed sums take.
std::size_t packed_sums_bound(std::size_t count);
// Returns the byte behind what it wrote to `out`, which has room for the bound. About 1 ns a
// number.
std::byte* pack_sums(std::span<const float> sums, float grid, std::byte* out);
// Writes `count` float32 to `sums` (any alignment). Returns how many bytes it read; 0 if these
// cannot be such sums.
std::size_t unpack_sums(std::span<const std::byte> bytes, float grid, std::size_t count,
                        std::byte* sums);

}  // namespace gracemoe
