#include "engine/moe_layer.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"

namespace gracemoe {
namespace {

constexpr int kGridBits = 18;
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
    const double start = wall_seconds();
    {
      const ScopedSpan span(batch.profile, "gate");
      route(batch, x);
      if (context_.sum_on_grid) set_grid(residual);
    }
    const ExpertWork& work = dispatch(batch, x);
    compute_shared(batch, x.size());
    {
      const ScopedSpan span(batch.profile, "experts");
      compute(work);
    }
    {
      const ScopedSpan span(batch.profile, "combine");
      context_.exchange->combine(outputs_, out);
      for (std::size_t i = 0; i < shared_.size(); ++i) out[i] += shared_[i];
    }
    if (context_.times == nullptr) return;
    context_.times->layer_seconds.resize(
        std::max(context_.times->layer_seconds.size(), static_cast<std::size_t>(layer_) + 1));
    context_.times->layer_seconds[static_cast<std::size_t>(layer_)] += wall_seconds() - start;
  }

 private:
  // The gate's choice for every row, and the device that serves each.
  void route(const StepBatch& batch, std::span<const float> x) {
    const int rows = batch.rows();
    logits_.resize(static_cast<std::size_t>(rows) * static_cast<std::size_t>(router_.experts));
    if (rows > 0) weights_.gate->forward(x, rows, logits_);
    choose_experts(router_, logits_, rows, choice_);
    if (context_.recorder != nullptr)
      context_.recorder->record(layer_, choice_.expert, choice_.weight);
    device_.resize(choice_.expert.size());
    const auto k = static_cast<std::size_t>(router_.top_k);
    for (const SequenceSpan& span : batch.spans) {
      for (int i = 0; i < span.rows; ++i) {
        const std::uint64_t token =
            token_key(span.request, static_cast<std::uint64_t>(span.first_position + i));
        const std::size_t begin = static_cast<std::size_t>(span.first_row + i) * k;
        for (std::size_t slot = begin; slot < begin + k; ++slot)
          device_[slot] =
              context_.selector->device_for(layer_, choice_.expert[slot], context_.device, token);
      }
    }
  }

  const ExpertWork& dispatch(const StepBatch& batch, std::span<const float> x) {
    const ScopedSpan span(batch.profile, "dispatch");
    rows_.resize(x.size() * backend_.row_element_size());
    backend_.store_rows(x, rows_.data());
    const TokenRoutes routes{batch.rows(),   router_.top_k, choice_.expert,
                             choice_.weight, device_,       grid_};
    return context_.exchange->dispatch(layer_, routes, rows_);
  }

  // Weighted outputs are summed as multiples of 2^-18 of the residual's root mean square: a
  // thousandth of what rounding an output to bf16 may already cost, and fine enough that sums up to
  // 64 times the residual are exact - so that it does not matter where, and in which order, they
  // are made.
  void set_grid(std::span<const float> residual) {
    grid_.resize(residual.size() / hidden_);
    for (std::size_t row = 0; row < grid_.size(); ++row) {
      double squares = 0;
      for (const float x : residual.subspan(row * hidden_, hidden_))
        squares += static_cast<double>(x) * static_cast<double>(x);
      const double rms = std::sqrt(squares / static_cast<double>(hidden_));
      grid_[row] =
          rms > 0 ? std::ldexp(1.0F, std::max(std::ilogb(rms) - kGridBits, kLowestGrid)) : 0;
    }
  }

  // Needs only this device's own tokens: may run while rows are under way.
  void compute_shared(const StepBatch& batch, std::size_t values) {
    if (weights_.shared == nullptr) return;
    const ScopedSpan span(batch.profile, "shared");
    shared_.resize(values);
    weights_.shared->forward(backend_, rows_, shared_);
  }

  // This device's share of all devices' tokens.
  void compute(const ExpertWork& work) {
    const double start = process_cpu_seconds();
    groups_.clear();
    for (const std::int32_t expert : work.experts) {
      const std::int32_t local = local_index_[static_cast<std::size_t>(expert)];
      GM_CHECK(local >= 0, "rows arrived for an expert that this device does not hold");
      groups_.push_back(local);
    }
    outputs_.resize(static_cast<std::size_t>(work.entries()) * hidden_ *
                    backend_.row_element_size());
    if (work.entries() > 0)
      weights_.experts->forward({work.row_data, groups_, work.offsets, work.row_of},
                                outputs_.data());
    if (context_.times != nullptr)
      context_.times->compute.push_back(static_cast<float>(process_cpu_seconds() - start));
  }

  int layer_;  // index among the MoE layers
  std::size_t hidden_;
  RouterOptions router_;
  MoeLayerWeights weights_;
  const Backend& backend_;
  MoeContext context_;
  std::vector<std::int32_t> local_index_;  // [experts] index in local_experts, or -1
  std::vector<float> grid_;                // [rows]
  std::vector<float> logits_;              // [rows, experts]
  std::vector<float> shared_;              // [rows, hidden] the shared experts' outputs, or empty
  RouterChoice choice_;
  std::vector<std::int32_t> device_, groups_;
  std::vector<std::byte> rows_, outputs_;
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
