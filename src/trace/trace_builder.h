// Builds a routing trace from steps of a batched run, in which tokens of many sequences interleave,
// and joins the traces of several ranks. Not thread-safe; use one a rank.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "trace/routing_trace.h"

namespace gracemoe {

class TraceBuilder {
 public:
  // with_weights: record() must then be given weights, else none.
  TraceBuilder(int num_experts, int top_k, int layers, bool with_weights);

  // Opens a step of T tokens: token i is position[i] of sequence[i] (both >= 0). Every (sequence,
  // position) once in all.
  void begin_step(std::span<const std::int32_t> sequence, std::span<const std::int32_t> position);
  // The router's choices of the open step's tokens in one layer: experts and weights [T, top_k].
  // Once a layer and step; a step in which a layer was not recorded breaks a contract (kInternal),
  // told by the next begin_step() or finish().
  void record(int layer, std::span<const std::uint16_t> experts, std::span<const float> weights);

  std::int64_t tokens() const { return static_cast<std::int64_t>(sequence_.size()); }
  // The trace so far, ordered by (sequence, position); model, fingerprint and phase are left to the
  // caller.
  RoutingTrace finish() const;

 private:
  void check_step_complete() const;
  std::size_t slots() const;

  int num_experts_, top_k_, layers_;
  bool with_weights_;
  std::size_t step_begin_ = 0;  // first token of the open step
  int recorded_ = 0;            // layers recorded in the open step
  std::vector<std::int32_t> sequence_, position_;
  std::vector<std::uint16_t> experts_;  // [tokens, layers, top_k] in order of arrival
  std::vector<float> weights_;
};

// One trace of parts with disjoint sequences and equal shapes, ordered by sequence number. Needs at
// least one part.
RoutingTrace merge_traces(const std::vector<RoutingTrace>& parts);

}  // namespace gracemoe
