#include "base/spans.h"

#include <algorithm>
#include <cstring>

#include "base/clock.h"
#include "base/error.h"

namespace gracemoe {

SpanRecorder::SpanRecorder(std::size_t most_events) : most_events_(most_events) {
  restart();
}

void SpanRecorder::restart() {
  GM_CHECK(open_.empty(), "a span recorder restarted inside a span");
  names_.clear();
  log_ = {};
  start_ = wall_seconds();
}

std::int64_t SpanRecorder::now() const {
  return static_cast<std::int64_t>((wall_seconds() - start_) * 1e9);
}

// A program has a few dozen names. The same literal of two files may have two addresses.
std::int32_t SpanRecorder::number(const char* name) {
  auto found = std::find(names_.begin(), names_.end(), name);
  if (found == names_.end())
    found = std::find_if(names_.begin(), names_.end(),
                         [&](const char* known) { return std::strcmp(known, name) == 0; });
  if (found == names_.end()) {
    log_.names.emplace_back(name);
    found = names_.insert(names_.end(), name);
  }
  return static_cast<std::int32_t>(found - names_.begin());
}

SpanLog::Total& SpanRecorder::total(std::int32_t root, std::int32_t name) {
  const auto found = std::find_if(
      log_.totals.begin(), log_.totals.end(),
      [&](const SpanLog::Total& total) { return total.root == root && total.name == name; });
  if (found != log_.totals.end()) return *found;
  return log_.totals.emplace_back(SpanLog::Total{root, name, 0, 0});
}

void SpanRecorder::open(const char* name, int layer) {
  push(name, layer, now());
}

void SpanRecorder::open_at(double start_seconds, const char* name, int layer) {
  const auto start = static_cast<std::int64_t>((start_seconds - start_) * 1e9);
  push(name, layer, std::max<std::int64_t>(start, 0));
}

void SpanRecorder::push(const char* name, int layer, std::int64_t start_ns) {
  if (layer < 0 && !open_.empty()) layer = open_.back().layer;
  open_.push_back({number(name), layer, start_ns, 0});
}

void SpanRecorder::close() {
  GM_CHECK(!open_.empty(), "a span was closed that is not open");
  const Open span = open_.back();
  const std::int64_t duration = now() - span.start_ns;
  SpanLog::Total& sum = total(open_.front().name, span.name);
  ++sum.calls;
  sum.self_ns += duration - span.inside_ns;
  open_.pop_back();
  if (!open_.empty()) open_.back().inside_ns += duration;
  if (log_.events.size() < most_events_) {
    log_.events.push_back({span.name, span.layer, span.start_ns, duration});
  } else {
    ++log_.left_out;
  }
}

const SpanLog& SpanRecorder::log() const {
  GM_CHECK(open_.empty(), "a span recorder read inside a span");
  return log_;
}

}  // namespace gracemoe
