#include <algorithm>

#include "base/error.h"
#include "trace/routing_trace.h"

namespace gracemoe {
namespace {

RoutingTrace empty_like(const RoutingTrace& trace) {
  RoutingTrace out;
  out.model = trace.model;
  out.fingerprint = trace.fingerprint;
  out.phase = trace.phase;
  out.num_experts = trace.num_experts;
  out.top_k = trace.top_k;
  out.layers = trace.layers;
  return out;
}

// Appends the tokens [begin, end) of `from`.
void append(RoutingTrace& to, const RoutingTrace& from, std::size_t begin, std::size_t end) {
  const std::size_t slots =
      static_cast<std::size_t>(from.layers) * static_cast<std::size_t>(from.top_k);
  const auto copy = [&](auto& out, const auto& in, std::size_t width) {
    if (in.empty()) return;
    out.insert(out.end(), in.begin() + static_cast<std::ptrdiff_t>(begin * width),
               in.begin() + static_cast<std::ptrdiff_t>(end * width));
  };
  copy(to.sequence, from.sequence, 1);
  copy(to.experts, from.experts, slots);
  copy(to.weights, from.weights, slots);
}

// [sequences + 1] first token of every sequence, then the number of tokens.
std::vector<std::size_t> sequence_starts(const RoutingTrace& trace) {
  std::vector<std::size_t> starts;
  for (std::size_t t = 0; t < trace.sequence.size(); ++t)
    if (t == 0 || trace.sequence[t] != trace.sequence[t - 1]) starts.push_back(t);
  starts.push_back(trace.sequence.size());
  return starts;
}

}  // namespace

TraceSplit split_by_sequence(const RoutingTrace& trace, int every) {
  GM_CHECK(every >= 2, "split_by_sequence: every must be at least 2");
  const auto period = static_cast<std::size_t>(every);
  TraceSplit split{empty_like(trace), empty_like(trace)};
  const std::vector<std::size_t> starts = sequence_starts(trace);
  if (starts.size() - 1 < period) {
    const std::size_t tokens = trace.sequence.size();
    const std::size_t cut = tokens - tokens / period;
    append(split.fit, trace, 0, cut);
    append(split.held_out, trace, cut, tokens);
    return split;
  }
  for (std::size_t s = 0; s + 1 < starts.size(); ++s)
    append(s % period == period - 1 ? split.held_out : split.fit, trace, starts[s], starts[s + 1]);
  return split;
}

}  // namespace gracemoe
