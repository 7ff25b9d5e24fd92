#include "engine/moe_layer.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"

namespace gracemoe {
namespace {

constexpr int kGridBits = 14;      // docs/numerics.md weighs range against rounding
constexpr int kLowestGrid = -120;  // 1.5 * 2^23 of it, and products near it, stay normal numbers

class MoeLayer final : public FeedForwardBlock {
 public:
  MoeLayer(int moe_layer, int hidden, const RouterOptions& router, MoeLayerWeights weights,
           const Backend& backend, const MoeContext& context)
      : layer_(moe_layer),
        hidden_(static_cast<std::size_t>(hidden)),
        router_(router),
        weights_(std::move(weights)),
        backend_(backend),
        context_(context),
        local_index_(static_cast<std::size_t>(router.experts), -1) {
    for (std::size_t i = 0; i < weights_.local_experts.size(); ++i)
      local_index_[static_cast<std::size_t>(weights_.local_experts[i])] =
          static_cast<std::int32_t>(i);
  }

  void forward(const StepBatch& batch, std::span<const float> residual, std::span<const float> x,
               std::span<float> out) override {
    begin(0, batch, residual, x);
    compute(0);
    finish(0, out);
  }

  void begin(int lane, const StepBatch& batch, std::span<const float> residual,
             std::span<const float> x) override {
    const Timed timed(*this);
    if (lane == 0) begin_step();
    Lane& its = lane_at(lane);
    its.profile = batch.profile;
    {
      const ScopedSpan span(its.profile, "gate");
      route(batch, x, its);
      if (context_.sum_on_grid) set_grid(residual, its);
    }
    const ScopedSpan span(its.profile, "dispatch");
    its.rows.resize(x.size() * backend_.row_element_size());
    backend_.store_rows(x, its.rows.data());
    context_.exchange->begin(lane, layer_,
                             {batch.rows(), router_.top_k, its.choice.expert, its.choice.weight,
                              its.device, its.grid, batch.uneven},
                             its.rows);
    its.open = true;
  }

  // Parts of other lanes fill the time in which nothing of this one is here.
  void compute(int lane) override {
    const Timed timed(*this);
    compute_shared(lane_at(lane));
    for (WorkPart part;;) {
      switch (context_.exchange->next(lane, part)) {
        case Ready::kPart:
          run(part);
          break;
        case Ready::kLater:
          if (!run_of_others(lane)) wait(lane);
          break;
        case Ready::kNone:
          return;
      }
    }
  }

  void finish(int lane, std::span<float> out) override {
    const Timed timed(*this);
    Lane& its = lane_at(lane);
    const ScopedSpan span(its.profile, "combine");
    context_.exchange->finish(lane, out);
    for (std::size_t i = 0; i < its.shared.size(); ++i) out[i] += its.shared[i];
    its.open = false;
  }

 private:
  // A micro-batch on its way through the layer.
  struct Lane {
    bool open = false;
    SpanRecorder* profile = nullptr;
    std::vector<float> grid;  // [rows]
    RouterChoice choice;
    std::vector<std::int32_t> device;  // [rows, top_k] that serves each choice
    std::vector<std::byte> rows;       // [rows, hidden]
    std::vector<float> shared;         // [rows, hidden] the shared experts' outputs, or empty
  };

  // Adds what passes in its scope to the layer's wall time.
  class Timed {
   public:
    explicit Timed(MoeLayer& layer) : layer_(layer) {}
    Timed(const Timed&) = delete;
    Timed& operator=(const Timed&) = delete;
    ~Timed() {
      if (layer_.context_.times != nullptr)
        layer_.context_.times->layer_seconds[static_cast<std::size_t>(layer_.layer_)] +=
            wall_seconds() - start_;
    }

   private:
    MoeLayer& layer_;
    double start_ = wall_seconds();
  };

  Lane& lane_at(int lane) {
    const auto at = static_cast<std::size_t>(lane);
    if (lanes_.size() <= at) lanes_.resize(at + 1);
    return lanes_[at];
  }

  // The gate's choice for every row, and the device that serves each.
  void route(const StepBatch& batch, std::span<const float> x, Lane& lane) {
    const int rows = batch.rows();
    logits_.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(router_.experts));
    if (rows > 0) weights_.gate->forward(x, rows, logits_);
    choose_experts(router_, logits_, rows, lane.choice);
    if (context_.recorder != nullptr)
      context_.recorder->record(layer_, batch.first_row, lane.choice.expert, lane.choice.weight);
    lane.device.resize(lane.choice.expert.size());
    const auto k = static_cast<std::size_t>(router_.top_k);
    for (const SequenceSpan& span : batch.spans) {
      for (int i = 0; i < span.rows; ++i) {
        const std::uint64_t token =
            token_key(span.request, static_cast<std::uint64_t>(span.first_position + i));
        const std::size_t begin = static_cast<std::size_t>(span.first_row + i) * k;
        for (std::size_t slot = begin; slot < begin + k; ++slot)
          lane.device[slot] = context_.selector->device_for(layer_, lane.choice.expert[slot],
                                                            context_.device, token);
      }
    }
  }

  // Weighted outputs are summed as multiples of 2^-14 of the residual's root mean square, so that
  // sums up to 256 times that are exact: where, and in which order, they are made does not matter.
  void set_grid(std::span<const float> residual, Lane& lane) {
    lane.grid.resize(residual.size() / hidden_);
    for (std::size_t row = 0; row < lane.grid.size(); ++row) {
      double squares = 0;
      for (const float x : residual.subspan(row * hidden_, hidden_))
        squares += static_cast<double>(x) * static_cast<double>(x);
      const double rms = std::sqrt(squares / static_cast<double>(hidden_));
      lane.grid[row] =
          rms > 0 ? std::ldexp(1.0F, std::max(std::ilogb(rms) - kGridBits, kLowestGrid)) : 0;
    }
  }

  // Needs only this device's own tokens: other devices' rows are under way meanwhile.
  void compute_shared(Lane& lane) {
    if (weights_.shared == nullptr) return;
    const ScopedSpan span(lane.profile, "shared");
    lane.shared.resize(lane.rows.size() / backend_.row_element_size());
    weights_.shared->forward(backend_, lane.rows, lane.shared);
    context_.exchange->progress();
  }

  void wait(int lane) {
    const ScopedSpan span(lane_at(lane).profile, "wait");
    context_.exchange->wait();
  }

  // A part of this device's share of all devices' tokens.
  void run(const WorkPart& part) {
    const ScopedSpan span(lane_at(part.lane).profile, "experts");
    const double start = process_cpu_seconds();
    groups_.clear();
    for (const std::int32_t expert : part.experts) {
      const std::int32_t local = local_index_[static_cast<std::size_t>(expert)];
      GM_CHECK(local >= 0, "rows arrived for an expert that this device does not hold");
      groups_.push_back(local);
    }
    weights_.experts->forward({part.row_data, groups_, part.offsets, part.row_of, part.row_at},
                              part.outputs);
    if (context_.times != nullptr)
      compute_seconds() += static_cast<float>(process_cpu_seconds() - start);
    context_.exchange->done(part);
  }

  bool run_of_others(int lane) {
    WorkPart part;
    for (std::size_t other = 0; other < lanes_.size(); ++other) {
      if (static_cast<int>(other) == lane || !lanes_[other].open ||
          context_.exchange->next(static_cast<int>(other), part) != Ready::kPart)
        continue;
      run(part);
      return true;
    }
    return false;
  }

  void begin_step() {
    ++steps_;
    if (context_.times == nullptr) return;
    std::vector<float>& compute = context_.times->compute;
    compute.resize(std::max(compute.size(), steps_ * context_.times->layer_seconds.size()));
  }

  // Of this step.
  float& compute_seconds() {
    return context_.times->compute[(steps_ - 1) * context_.times->layer_seconds.size() +
                                   static_cast<std::size_t>(layer_)];
  }

  int layer_;  // index among the MoE layers
  std::size_t hidden_;
  RouterOptions router_;
  MoeLayerWeights weights_;
  const Backend& backend_;
  MoeContext context_;
  std::vector<std::int32_t> local_index_;  // [experts] index in local_experts, or -1
  std::vector<Lane> lanes_;
  std::vector<float> logits_;  // [rows, experts]
  std::vector<std::int32_t> groups_;
  std::size_t steps_ = 0;
};

}  // namespace

std::unique_ptr<FeedForwardBlock> make_moe_layer(int moe_layer, int hidden,
                                                 const RouterOptions& router,
                                                 MoeLayerWeights weights, const Backend& backend,
                                                 const MoeContext& context) {
  GM_CHECK(context.selector != nullptr && context.exchange != nullptr,
           "a MoE layer needs a selector and an exchange");
  return std::make_unique<MoeLayer>(moe_layer, hidden, router, std::move(weights), backend,
                                    context);
}

}  // namespace gracemoe
