#include <gtest/gtest.h>

#include <utility>

#include "compute/cpu/buffer.h"

namespace gracemoe {
namespace {

TEST(BufferShelf, ACallTakesWhatTheOneBeforeGaveBack) {
  BufferShelf shelf;
  const std::byte* first = LentBuffer(shelf, 1000).data();
  EXPECT_EQ(LentBuffer(shelf, 10).data(), first);
  EXPECT_EQ(LentBuffer(shelf, 1000).data(), first);
}

TEST(BufferShelf, TwoBuffersOutAtOnceAreTwo) {
  BufferShelf shelf;
  const LentBuffer one(shelf, 100), two(shelf, 100);
  EXPECT_NE(one.data(), two.data());
}

TEST(BufferShelf, TheSmallestThatSufficesIsTaken) {
  BufferShelf shelf;
  const std::byte *small = nullptr, *large = nullptr;
  {
    const LentBuffer a(shelf, 5000), b(shelf, 100), c(shelf, 9000);
    large = a.data();
    small = b.data();
  }
  EXPECT_EQ(LentBuffer(shelf, 100).data(), small);
  EXPECT_EQ(LentBuffer(shelf, 101).data(), large);
}

TEST(BufferShelf, OneTooSmallGrowsAndNoneIsAdded) {
  BufferShelf shelf;
  { const LentBuffer small(shelf, 100); }
  const std::byte* grown = nullptr;
  {
    const LentBuffer large(shelf, 1 << 20);
    grown = large.data();
  }
  EXPECT_EQ(LentBuffer(shelf, 100).data(), grown);
}

TEST(BufferShelf, AMovedLoanIsGivenBackOnce) {
  BufferShelf shelf;
  LentBuffer held;
  const std::byte* first = nullptr;
  {
    LentBuffer loan(shelf, 100);
    first = loan.data();
    held = std::move(loan);
  }
  EXPECT_EQ(held.data(), first);
  EXPECT_NE(LentBuffer(shelf, 100).data(), first);
  held = LentBuffer();
  const LentBuffer again(shelf, 100), other(shelf, 100);
  EXPECT_TRUE((again.data() == first) != (other.data() == first));
}

}  // namespace
}  // namespace gracemoe
