#include "engine/step_batch.h"

#include <gtest/gtest.h>

#include "engine/kv_cache.h"

namespace gracemoe {
namespace {

TEST(CutBatch, KeepsEveryRowWithItsPlace) {
  KvCache first({{1, 1}}, 16), second({{1, 1}}, 16);
  const std::vector<int> ids{5, 6, 7, 8, 9};
  StepBatch batch;
  batch.add(first, 3, 10, ids.data(), 1);
  batch.add(second, 4, 2, ids.data(), 5);
  batch.micro_batches = 2;
  const std::vector<StepBatch> parts = cut_batch(batch);
  ASSERT_EQ(parts.size(), 2U);
  EXPECT_EQ(parts[0].first_row, 0);
  EXPECT_EQ(parts[1].first_row, 3);
  EXPECT_EQ(parts[0].tokens, (std::vector<int>{5, 5, 6}));
  EXPECT_EQ(parts[1].tokens, (std::vector<int>{7, 8, 9}));
  EXPECT_EQ(parts[1].positions, (std::vector<std::int32_t>{4, 5, 6}));
  ASSERT_EQ(parts[0].spans.size(), 2U);
  EXPECT_EQ(parts[0].spans[1].first_row, 1);
  EXPECT_EQ(parts[0].spans[1].rows, 2);
  ASSERT_EQ(parts[1].spans.size(), 1U);
  EXPECT_EQ(parts[1].spans[0].cache, &second);
  EXPECT_EQ(parts[1].spans[0].request, 4U);
  EXPECT_EQ(parts[1].spans[0].first_row, 0);
  EXPECT_EQ(parts[1].spans[0].rows, 3);
  EXPECT_EQ(parts[1].spans[0].first_position, 4);
}

TEST(CutBatch, PartsMayBeEmpty) {
  KvCache cache({{1, 1}}, 16);
  const int id = 1;
  StepBatch batch;
  batch.micro_batches = 2;
  EXPECT_EQ(cut_batch(batch)[1].rows(), 0);
  batch.add(cache, 0, 0, &id, 1);
  EXPECT_EQ(cut_batch(batch)[0].rows(), 0);
  EXPECT_EQ(cut_batch(batch)[1].rows(), 1);
}

}  // namespace
}  // namespace gracemoe
