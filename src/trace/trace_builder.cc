#include "trace/trace_builder.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace gracemoe {
namespace {

// out = the rows `order` of in, `width` elements a row.
template <typename T>
std::vector<T> gather_rows(const std::vector<T>& in, const std::vector<std::size_t>& order,
                           std::size_t width) {
  std::vector<T> out;
  out.reserve(in.size());
  if (in.empty()) return out;
  for (const std::size_t row : order) {
    const auto first = in.begin() + static_cast<std::ptrdiff_t>(row * width);
    out.insert(out.end(), first, first + static_cast<std::ptrdiff_t>(width));
  }
  return out;
}

std::vector<std::size_t> iota_order(std::size_t count) {
  std::vector<std::size_t> order(count);
  std::iota(order.begin(), order.end(), std::size_t{0});
  return order;
}

}  // namespace

TraceBuilder::TraceBuilder(int num_experts, int top_k, int layers, bool with_weights)
    : num_experts_(num_experts), top_k_(top_k), layers_(layers), with_weights_(with_weights) {
  GM_CHECK(num_experts >= 1 && num_experts <= 65535, "trace builder: num_experts");
  GM_CHECK(top_k >= 1 && top_k <= num_experts && layers >= 1, "trace builder: shape");
}

std::size_t TraceBuilder::slots() const {
  return static_cast<std::size_t>(layers_) * static_cast<std::size_t>(top_k_);
}

void TraceBuilder::check_step_complete() const {
  GM_CHECK(step_begin_ == sequence_.size() || recorded_ == layers_,
           "trace builder: a step ended before all layers were recorded");
}

void TraceBuilder::begin_step(std::span<const std::int32_t> sequence,
                              std::span<const std::int32_t> position) {
  check_step_complete();
  GM_CHECK(sequence.size() == position.size(), "trace builder: one position a token");
  step_begin_ = sequence_.size();
  recorded_ = 0;
  sequence_.insert(sequence_.end(), sequence.begin(), sequence.end());
  position_.insert(position_.end(), position.begin(), position.end());
  experts_.resize(sequence_.size() * slots());
  if (with_weights_) weights_.resize(experts_.size());
}

void TraceBuilder::record(int layer, std::span<const std::uint16_t> experts,
                          std::span<const float> weights) {
  const std::size_t tokens = sequence_.size() - step_begin_;
  const auto k = static_cast<std::size_t>(top_k_);
  GM_CHECK(layer >= 0 && layer < layers_, "trace builder: layer out of range");
  GM_CHECK(experts.size() == tokens * k, "trace builder: experts is not [tokens, top_k]");
  GM_CHECK(weights.size() == (with_weights_ ? experts.size() : 0), "trace builder: weights");
  for (const std::uint16_t id : experts)
    GM_CHECK(id < num_experts_, "trace builder: expert id out of range");
  for (std::size_t t = 0; t < tokens; ++t) {
    const std::size_t to = (step_begin_ + t) * slots() + static_cast<std::size_t>(layer) * k;
    std::copy_n(experts.begin() + static_cast<std::ptrdiff_t>(t * k), k,
                experts_.begin() + static_cast<std::ptrdiff_t>(to));
    if (with_weights_)
      std::copy_n(weights.begin() + static_cast<std::ptrdiff_t>(t * k), k,
                  weights_.begin() + static_cast<std::ptrdiff_t>(to));
  }
  ++recorded_;
}

RoutingTrace TraceBuilder::finish() const {
  check_step_complete();
  std::vector<std::size_t> order = iota_order(sequence_.size());
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return std::pair(sequence_[a], position_[a]) < std::pair(sequence_[b], position_[b]);
  });
  RoutingTrace trace;
  trace.num_experts = num_experts_;
  trace.top_k = top_k_;
  trace.layers = layers_;
  trace.sequence = gather_rows(sequence_, order, 1);
  trace.experts = gather_rows(experts_, order, slots());
  trace.weights = gather_rows(weights_, order, slots());
  return trace;
}

RoutingTrace merge_traces(const std::vector<RoutingTrace>& parts) {
  GM_CHECK(!parts.empty(), "merge_traces: no part");
  RoutingTrace all = parts.front();
  for (std::size_t p = 1; p < parts.size(); ++p) {
    const RoutingTrace& part = parts[p];
    GM_CHECK(
        part.num_experts == all.num_experts && part.top_k == all.top_k && part.layers == all.layers,
        "merge_traces: parts of different shapes");
    all.sequence.insert(all.sequence.end(), part.sequence.begin(), part.sequence.end());
    all.experts.insert(all.experts.end(), part.experts.begin(), part.experts.end());
    all.weights.insert(all.weights.end(), part.weights.begin(), part.weights.end());
  }
  GM_CHECK(all.weights.empty() || all.weights.size() == all.experts.size(),
           "merge_traces: weights in some parts only");
  const std::size_t slots =
      static_cast<std::size_t>(all.layers) * static_cast<std::size_t>(all.top_k);
  std::vector<std::size_t> order = iota_order(all.sequence.size());
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return all.sequence[a] < all.sequence[b]; });
  all.sequence = gather_rows(all.sequence, order, 1);
  all.experts = gather_rows(all.experts, order, slots);
  all.weights = gather_rows(all.weights, order, slots);
  return all;
}

}  // namespace gracemoe
