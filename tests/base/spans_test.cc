#include "base/spans.h"

#include <gtest/gtest.h>

#include "base/clock.h"
#include "base/error.h"

namespace gracemoe {
namespace {

std::string name_of(const SpanLog& log, std::int32_t name) {
  return log.names[static_cast<std::size_t>(name)];
}

std::int64_t sum_of_self(const SpanLog& log) {
  std::int64_t sum = 0;
  for (const SpanLog::Total& total : log.totals) sum += total.self_ns;
  return sum;
}

void one_step(SpanRecorder& recorder) {
  const ScopedSpan step(&recorder, "step");
  for (int layer = 0; layer < 2; ++layer) {
    const ScopedSpan outer(&recorder, "layer", layer);
    const ScopedSpan inner(&recorder, "norm");
  }
}

TEST(Spans, NestAndAddUp) {
  SpanRecorder recorder;
  one_step(recorder);
  const SpanLog& log = recorder.log();
  ASSERT_EQ(log.events.size(), 5u);
  EXPECT_EQ(name_of(log, log.events[0].name), "norm");  // what ends first comes first
  EXPECT_EQ(log.events[0].layer, 0);                    // its enclosing span's
  EXPECT_EQ(log.events[3].layer, 1);
  const SpanLog::Event& step = log.events[4];
  EXPECT_EQ(name_of(log, step.name), "step");
  EXPECT_EQ(step.layer, -1);
  for (const SpanLog::Event& event : log.events) {
    EXPECT_GE(event.start_ns, step.start_ns);
    EXPECT_LE(event.start_ns + event.duration_ns, step.start_ns + step.duration_ns);
  }
  EXPECT_EQ(log.totals.size(), 3u);
  EXPECT_EQ(sum_of_self(log), step.duration_ns);
}

TEST(Spans, TotalsCountWhatEventsLeaveOut) {
  SpanRecorder recorder(3);
  one_step(recorder);
  one_step(recorder);
  EXPECT_EQ(recorder.log().events.size(), 3u);
  EXPECT_EQ(recorder.log().left_out, 7);
  for (const SpanLog::Total& total : recorder.log().totals)
    EXPECT_EQ(total.calls, name_of(recorder.log(), total.name) == "step" ? 2 : 4);
}

TEST(Spans, MayHaveBegunEarlierAndRestartForgets) {
  SpanRecorder recorder;
  const double start = wall_seconds();
  recorder.open_at(start - 1000, "step");  // before the recorder's start: from the start on
  recorder.close();
  EXPECT_EQ(recorder.log().events[0].start_ns, 0);
  recorder.restart();
  EXPECT_TRUE(recorder.log().events.empty() && recorder.log().names.empty());
}

TEST(Spans, BrokenContracts) {
  SpanRecorder recorder;
  EXPECT_THROW(recorder.close(), Error);
  recorder.open("step");
  EXPECT_THROW(recorder.log(), Error);
  EXPECT_THROW(recorder.restart(), Error);
  recorder.close();
  const ScopedSpan nobody(nullptr, "nothing");
}

}  // namespace
}  // namespace gracemoe
