#include <gtest/gtest.h>

#include "compute/cpu/packed_matrix.h"

namespace gracemoe {
namespace {

TEST(PanelParts, OneThreadCutsNothing) {
  EXPECT_EQ(panel_parts(1, 3, 1, 64, 4), 1U);
  EXPECT_EQ(panel_parts(2, 0, 0, 64, 4), 1U);
}

TEST(PanelParts, EveryThreadFindsSeveral) {
  EXPECT_EQ(panel_parts(2, 1, 1, 64, 4), 16U);   // of 4 panels each
  EXPECT_EQ(panel_parts(2, 1, 1, 8, 4), 8U);     // small matrices: single panels
  EXPECT_EQ(panel_parts(2, 9, 1, 64, 4), 15U);   // 135 parts for 9 experts: the last is little
  EXPECT_EQ(panel_parts(2, 200, 1, 64, 4), 1U);  // enough blocks as they are
  EXPECT_EQ(panel_parts(8, 1, 1, 3, 4), 3U);
}

TEST(PanelParts, BlocksShareFewPanelsAtATime) {
  EXPECT_EQ(panel_parts(1, 11, 11, 192, 4), 12U);  // of 16 panels each
  EXPECT_EQ(panel_parts(1, 11, 11, 8, 4), 1U);
  EXPECT_EQ(panel_parts(2, 200, 2, 64, 4), 4U);
}

}  // namespace
}  // namespace gracemoe
