// The spans of all ranks of a run, and their file for trace viewers.
#pragma once
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/spans.h"

namespace gracemoe {

struct RankSpans {
  int rank = 0;
  std::string host;
  SpanLog log;
};

// Chrome's trace event format, which Perfetto (ui.perfetto.dev) and chrome://tracing show: one
// process a rank, one complete event ("X") a span, microseconds since the ranks' common start.
void write_trace_events(const std::filesystem::path& path, std::span<const RankSpans> ranks);

}  // namespace gracemoe
