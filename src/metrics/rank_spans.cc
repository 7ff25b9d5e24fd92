#include "metrics/rank_spans.h"

#include <algorithm>
#include <ostream>

#include "base/files.h"
#include "base/json.h"

namespace gracemoe {
namespace {

void write_rank(std::ostream& out, const RankSpans& rank, bool& first) {
  const auto put = [&](const OrderedJson& event) {
    out << (first ? "\n" : ",\n") << event.dump();
    first = false;
  };
  put({{"name", "process_name"},
       {"ph", "M"},
       {"pid", rank.rank},
       {"args", {{"name", "rank " + std::to_string(rank.rank) + " (" + rank.host + ")"}}}});
  // Viewers want an enclosing span before what it encloses.
  std::vector<SpanLog::Event> events = rank.log.events;
  std::stable_sort(events.begin(), events.end(), [](const auto& a, const auto& b) {
    return a.start_ns != b.start_ns ? a.start_ns < b.start_ns : a.duration_ns > b.duration_ns;
  });
  for (const SpanLog::Event& e : events) {
    OrderedJson event = {{"name", rank.log.names[static_cast<std::size_t>(e.name)]},
                         {"ph", "X"},
                         {"pid", rank.rank},
                         {"tid", 0},
                         {"ts", static_cast<double>(e.start_ns) * 1e-3},
                         {"dur", static_cast<double>(e.duration_ns) * 1e-3}};
    if (e.layer >= 0) event["args"] = {{"layer", e.layer}};
    put(event);
  }
}

}  // namespace

void write_trace_events(const std::filesystem::path& path, std::span<const RankSpans> ranks) {
  write_file(path, [&](std::ostream& out) {
    out << R"({"displayTimeUnit":"ms","traceEvents":[)";
    bool first = true;
    for (const RankSpans& rank : ranks) write_rank(out, rank, first);
    out << "\n]}\n";
  });
}

}  // namespace gracemoe
