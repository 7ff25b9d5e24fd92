#include <gtest/gtest.h>

#include "compute/cpu/packed_matrix.h"

namespace gracemoe {
namespace {

// Parts of the panels of one block each.
std::size_t parts(int threads, std::size_t blocks, std::size_t panels) {
  return panel_parts(threads, blocks, panels);
}

TEST(PanelParts, OneThreadCutsNothing) {
  EXPECT_EQ(parts(1, 3, 64), 1U);
  EXPECT_EQ(parts(2, 0, 64), 1U);
}

TEST(PanelParts, EveryThreadFindsSeveral) {
  EXPECT_EQ(parts(2, 1, 64), 16U);   // of 4 panels each
  EXPECT_EQ(parts(2, 1, 8), 8U);     // small matrices: single panels
  EXPECT_EQ(parts(2, 9, 64), 4U);    // 36 parts for 9 experts: the last one is a 36th of the work
  EXPECT_EQ(parts(2, 100, 64), 1U);  // enough blocks as they are
  EXPECT_EQ(parts(8, 1, 3), 3U);
}

}  // namespace
}  // namespace gracemoe
