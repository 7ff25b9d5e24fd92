#include <gtest/gtest.h>

#include <vector>

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

std::vector<std::size_t> counts(std::size_t tiles, std::size_t panels) {
  ProductKernels kernels;
  kernels.most_panels = 6;
  kernels.fewest_panels = 3;
  std::vector<std::size_t> all;
  std::size_t next = 10;
  for_each_panels(kernels, tiles, 10, 10 + panels,
                  [&](std::size_t panel, std::size_t count, bool more) {
                    EXPECT_EQ(panel, next);
                    next += count;
                    EXPECT_EQ(more, next < 10 + panels);
                    all.push_back(count);
                  });
  EXPECT_EQ(next, 10 + panels);
  return all;
}

TEST(ForEachPanels, ALoneTileGetsSeveralAndNoRestIsShort) {
  using Counts = std::vector<std::size_t>;
  EXPECT_EQ(counts(1, 0), Counts{});
  EXPECT_EQ(counts(1, 2), Counts{2});  // there are no more
  EXPECT_EQ(counts(1, 6), Counts{6});
  EXPECT_EQ(counts(1, 7), (Counts{4, 3}));
  EXPECT_EQ(counts(1, 8), (Counts{5, 3}));
  EXPECT_EQ(counts(1, 13), (Counts{6, 4, 3}));
  EXPECT_EQ(counts(3, 3), (Counts{1, 1, 1}));
}

}  // namespace
}  // namespace gracemoe
