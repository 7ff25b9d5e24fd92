// Collects the router's choices of every row that a device computes, for a routing trace. Owned by
// whoever wants the trace.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "engine/step_batch.h"
#include "trace/routing_trace.h"

namespace gracemoe {

class RoutingRecorder {
 public:
  RoutingRecorder(int layers, int top_k) : layers_(layers), top_k_(top_k) {}
  // Once a step, before its first MoE layer.
  void begin_step(const StepBatch& batch);
  // Choices of some of the step's rows, from first_row on, in one MoE layer (index among the MoE
  // layers): [rows, top_k] each.
  void record(int moe_layer, int first_row, std::span<const std::uint16_t> experts,
              std::span<const float> weights);

  // One entry a recorded row: its request and position, and its choices [layers, top_k].
  struct Rows {
    std::vector<std::uint64_t> request;
    std::vector<std::int32_t> position;
    std::vector<std::uint16_t> experts;
    std::vector<float> weights;
  };
  const Rows& rows() const { return rows_; }

 private:
  int layers_, top_k_;
  std::size_t step_begin_ = 0;  // first row of the current step
  Rows rows_;
};

// Rows of all ranks as one trace: sorted by request, then position; sequence = request.
void fill_trace(std::span<const RoutingRecorder::Rows> parts, RoutingTrace& trace);

}  // namespace gracemoe
