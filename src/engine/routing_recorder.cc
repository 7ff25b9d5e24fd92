#include "engine/routing_recorder.h"

#include <algorithm>

#include "base/error.h"

namespace gracemoe {

void RoutingRecorder::begin_step(const StepBatch& batch) {
  step_begin_ = rows_.request.size();
  for (const SequenceSpan& span : batch.spans) {
    for (int i = 0; i < span.rows; ++i) {
      rows_.request.push_back(span.request);
      rows_.position.push_back(span.first_position + i);
    }
  }
  const std::size_t values = rows_.request.size() * static_cast<std::size_t>(layers_ * top_k_);
  rows_.experts.resize(values);
  rows_.weights.resize(values);
}

void RoutingRecorder::record(int moe_layer, int first_row, std::span<const std::uint16_t> experts,
                             std::span<const float> weights) {
  const auto k = static_cast<std::size_t>(top_k_);
  const std::size_t begin = step_begin_ + static_cast<std::size_t>(first_row);
  GM_CHECK(experts.size() % k == 0 && begin + experts.size() / k <= rows_.request.size(),
           "recorded choices are not the step's");
  for (std::size_t row = 0; row * k < experts.size(); ++row) {
    const std::size_t to =
        ((begin + row) * static_cast<std::size_t>(layers_) + static_cast<std::size_t>(moe_layer)) *
        k;
    std::copy_n(experts.data() + row * k, k, rows_.experts.data() + to);
    std::copy_n(weights.data() + row * k, k, rows_.weights.data() + to);
  }
}

void fill_trace(std::span<const RoutingRecorder::Rows> parts, RoutingTrace& trace) {
  struct Place {
    std::uint64_t request;
    std::int32_t position;
    std::size_t part, row;
  };
  std::vector<Place> places;
  for (std::size_t p = 0; p < parts.size(); ++p)
    for (std::size_t r = 0; r < parts[p].request.size(); ++r)
      places.push_back({parts[p].request[r], parts[p].position[r], p, r});
  std::sort(places.begin(), places.end(), [](const Place& a, const Place& b) {
    return a.request != b.request ? a.request < b.request : a.position < b.position;
  });
  const auto values =
      static_cast<std::size_t>(trace.layers) * static_cast<std::size_t>(trace.top_k);
  for (const Place& place : places) {
    const RoutingRecorder::Rows& rows = parts[place.part];
    const auto begin = static_cast<std::ptrdiff_t>(place.row * values);
    const auto end = begin + static_cast<std::ptrdiff_t>(values);
    trace.sequence.push_back(static_cast<std::int32_t>(place.request));
    trace.experts.insert(trace.experts.end(), rows.experts.begin() + begin,
                         rows.experts.begin() + end);
    trace.weights.insert(trace.weights.end(), rows.weights.begin() + begin,
                         rows.weights.begin() + end);
  }
}

}  // namespace gracemoe
