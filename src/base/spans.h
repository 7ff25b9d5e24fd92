// Where the time of one thread goes: named spans of wall time, one inside another. Who wants to
// know passes a recorder down; a null recorder costs a comparison.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace gracemoe {

// What a recorder has seen. Names are numbered; times are nanoseconds since the recorder's start.
struct SpanLog {
  struct Event {
    std::int32_t name = 0;
    std::int32_t layer = -1;  // of the transformer; -1: belongs to none
    std::int64_t start_ns = 0, duration_ns = 0;
    friend bool operator==(const Event&, const Event&) = default;
  };
  // All spans of one name inside outermost spans of one name, those left out of `events` too.
  struct Total {
    std::int32_t root = 0, name = 0;
    std::int64_t calls = 0;
    std::int64_t self_ns = 0;  // without the spans inside them: the totals of a root add up to it
    friend bool operator==(const Total&, const Total&) = default;
  };
  std::vector<std::string> names;
  std::vector<Event> events;  // in the order in which they ended
  std::vector<Total> totals;
  std::int64_t left_out = 0;  // events beyond the recorder's limit
};

// For one thread. A span costs two looks at the clock and at most 24 bytes.
class SpanRecorder {
 public:
  explicit SpanRecorder(std::size_t most_events = std::size_t{1} << 20);
  // Forgets everything; times count from now. No span may be open.
  void restart();
  // `name` must outlive the recorder (a literal); without a layer, that of the enclosing span.
  // Spans close in the reverse order of opening.
  void open(const char* name, int layer = -1);
  // As open, but began at `start_seconds` of wall_seconds(), not before its enclosing span.
  void open_at(double start_seconds, const char* name, int layer = -1);
  void close();
  // No span may be open.
  const SpanLog& log() const;

 private:
  struct Open {
    std::int32_t name, layer;
    std::int64_t start_ns, inside_ns;
  };
  std::int64_t now() const;
  void push(const char* name, int layer, std::int64_t start_ns);
  std::int32_t number(const char* name);
  SpanLog::Total& total(std::int32_t root, std::int32_t name);

  std::size_t most_events_;
  double start_ = 0;                // wall_seconds()
  std::vector<const char*> names_;  // as in log_.names
  std::vector<Open> open_;
  SpanLog log_;
};

class ScopedSpan {
 public:
  ScopedSpan(SpanRecorder* recorder, const char* name, int layer = -1) : recorder_(recorder) {
    if (recorder_ != nullptr) recorder_->open(name, layer);
  }
  ~ScopedSpan() {
    if (recorder_ != nullptr) recorder_->close();
  }
  ScopedSpan(const ScopedSpan&) = delete;
  ScopedSpan& operator=(const ScopedSpan&) = delete;

 private:
  SpanRecorder* recorder_;
};

}  // namespace gracemoe
