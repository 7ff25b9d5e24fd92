#include <gtest/gtest.h>

#include "base/error.h"
#include "engine/kv_cache.h"
#include "engine/routing_recorder.h"

namespace gracemoe {
namespace {

TEST(KvCache, LayersDoNotOverlapAndLengthIsBounded) {
  KvCache cache({{8, 8}, {4, 0}}, 10);
  EXPECT_EQ(cache.bytes(), 10u * (8 + 8 + 4));
  EXPECT_EQ(cache.values(0) - cache.keys(0), 80);
  EXPECT_EQ(cache.keys(1) - cache.keys(0), 160);
  cache.set_length(10);
  EXPECT_THROW(cache.set_length(11), Error);
  EXPECT_THROW(cache.set_length(3), Error);
}

TEST(RoutingRecorder, RowsOfSeveralRanksBecomeOneTraceInOrder) {
  KvCache cache({{1, 1}}, 8);
  RoutingRecorder a(2, 1), b(2, 1);
  const int token = 0;
  StepBatch first;
  first.add(cache, 1, 0, &token, 1);  // request 1 lives on rank a, request 0 on rank b
  a.begin_step(first);
  a.record(0, 0, std::vector<std::uint16_t>{5}, std::vector<float>{0.5f});
  a.record(1, 0, std::vector<std::uint16_t>{6}, std::vector<float>{0.25f});
  StepBatch second;
  second.add(cache, 0, 1, &token, 1);
  second.add(cache, 0, 0, &token, 1);  // out of order on purpose
  b.begin_step(second);
  b.record(0, 0, std::vector<std::uint16_t>{2, 1}, std::vector<float>{0.2f, 0.1f});
  b.record(1, 0, std::vector<std::uint16_t>{4, 3}, std::vector<float>{0.4f, 0.3f});
  RoutingTrace trace;
  trace.layers = 2;
  trace.top_k = 1;
  fill_trace(std::vector<RoutingRecorder::Rows>{a.rows(), b.rows()}, trace);
  EXPECT_EQ(trace.sequence, (std::vector<std::int32_t>{0, 0, 1}));
  EXPECT_EQ(trace.experts, (std::vector<std::uint16_t>{1, 3, 2, 4, 5, 6}));
  EXPECT_EQ(trace.weights, (std::vector<float>{0.1f, 0.3f, 0.2f, 0.4f, 0.5f, 0.25f}));
}

}  // namespace
}  // namespace gracemoe
