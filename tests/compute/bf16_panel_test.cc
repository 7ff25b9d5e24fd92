#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

#include "compute/cpu/packed_matrix.h"

namespace gracemoe {
namespace {

// Any bits, so that what is lost, moved or rounded shows.
bf16 any_bits(std::size_t row, std::size_t k) {
  return {static_cast<std::uint16_t>(row * 40503U + k * 9973U + 1U)};
}

// Panels are pairs of neighbours, column by column: as wide as what is brought near at a time and
// a little more, not whole squares, odd.
TEST(Bf16Panel, HoldsEveryRowsPairs) {
  for (const std::size_t in : {1U, 2U, 7U, 8U, 33U, 512U, 2048U, 2056U, 4099U}) {
    std::vector<std::vector<bf16>> rows(kPanel, std::vector<bf16>(in));
    std::vector<const bf16*> lines;
    for (std::size_t c = 0; c < kPanel; ++c) {
      for (std::size_t k = 0; k < in; ++k) rows[c][k] = any_bits(c, k);
      lines.push_back(c % 5 == 3 ? nullptr : rows[c].data());  // null: zeros
    }
    const std::size_t pairs = (in + 1) / 2;
    std::vector<bf16> panel(pairs * kPanel * 2, any_bits(77, 77));
    pack_bf16_panel(lines.data(), in, panel.data());
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      for (std::size_t c = 0; c < kPanel; ++c) {
        for (std::size_t half = 0; half < 2; ++half) {
          const std::size_t k = 2 * pair + half;
          const bf16 wanted = k < in && lines[c] != nullptr ? rows[c][k] : bf16{};
          ASSERT_EQ(panel[(pair * kPanel + c) * 2 + half].bits, wanted.bits)
              << in << " wide, row " << c << ", element " << k;
        }
      }
    }
  }
}

}  // namespace
}  // namespace gracemoe
