#include "study/exchange_replay.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>

#include "base/bf16.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

// Sums of up to 2^22 times a token's grid are exact on it, and rows lie in [-1, 1), which experts
// at most double. No finer than this: a run's grid is 2^-14 of what rows usually are.
constexpr int kFinestGrid = -18, kGridBits = 22;
constexpr float kMostOfAnOutput = 2;

float expert_scale(int layer, int expert) {
  const auto at = static_cast<std::uint64_t>(layer) << 32 | static_cast<std::uint64_t>(expert);
  return static_cast<float>(0.5 + 1.5 * unit_interval(mix64(at + 1)));
}

float grid_for(std::span<const float> weights) {
  float most = 0;
  for (const float weight : weights) most += std::abs(weight) * kMostOfAnOutput;
  return std::ldexp(
      1.0F, most > 0 ? std::max(std::ilogb(most) + 1 - kGridBits, kFinestGrid) : kFinestGrid);
}

float on_grid(float x, float grid) {
  return std::nearbyint(x / grid) * grid;
}

class Replay {
 public:
  Replay(const ReplayTokens& tokens, const Plan& plan, const ReplayOptions& options,
         const Topology& topology, Transport& transport)
      : tokens_(tokens),
        options_(options),
        transport_(transport),
        hidden_(static_cast<std::size_t>(options.exchange.hidden)),
        k_(static_cast<std::size_t>(tokens.top_k)),
        selector_(make_selector(options.routing, plan)),
        exchange_(make_exchange(options.exchange, topology, transport)) {
    GM_CHECK(options.exchange.element == Element::kBf16, "replayed rows are bf16");
    GM_CHECK(options.tokens_per_step > 0 && options.rounds > 0, "replay needs steps and rounds");
  }

  ReplayResult run() {
    ReplayResult result;
    result.steps = replay_steps(tokens_, options_.tokens_per_step, transport_);
    for (int round = 0; round < options_.rounds; ++round) {
      exchange_->reset_counters();
      seconds_.clear();
      crossings_.clear();
      for (std::int64_t step = 0; step < result.steps; ++step) {
        take_step(step);
        if (options_.progress) options_.progress(round * result.steps + step + 1);
      }
      result.rounds.push_back(times_of_round());
    }
    result.counters = gather_vectors(transport_, exchange_->counters().layers, 0);
    result.crossings = gather_vectors(transport_, crossings_, 0);
    return result;
  }

 private:
  void take_step(std::int64_t step) {
    const auto most = static_cast<std::size_t>(options_.tokens_per_step);
    begin_ = std::min(tokens_.tokens(), static_cast<std::size_t>(step) * most);
    count_ = std::min(most, tokens_.tokens() - begin_);
    make_rows();
    for (int layer = 0; layer < tokens_.layers; ++layer) {
      const LayerCounters before = exchange_->counters().layers[static_cast<std::size_t>(layer)];
      choose(layer);
      const TokenRoutes routes{
          static_cast<int>(count_), tokens_.top_k, expert_, weight_, device_, grid_};
      transport_.barrier();
      double start = wall_seconds();
      const ExpertWork& work = exchange_->dispatch(layer, routes, std::as_bytes(std::span(rows_)));
      seconds_.push_back(wall_seconds() - start);
      stand_in(layer, work);
      out_.resize(count_ * hidden_);
      transport_.barrier();
      start = wall_seconds();
      exchange_->combine(outputs_, out_);
      seconds_.push_back(wall_seconds() - start);
      note_crossings(before, exchange_->counters().layers[static_cast<std::size_t>(layer)]);
      check(layer);
    }
  }

  void note_crossings(const LayerCounters& before, const LayerCounters& now) {
    crossings_.push_back({now.dispatch_payload.cross_node - before.dispatch_payload.cross_node,
                          now.dispatch_received - before.dispatch_received});
    crossings_.push_back({now.combine_payload.cross_node - before.combine_payload.cross_node,
                          now.combine_received - before.combine_received});
  }

  void make_rows() {
    rows_.resize(count_ * hidden_);
    for (std::size_t t = 0; t < count_; ++t) {
      std::uint64_t state = hash_combine(
          options_.seed, token_key(static_cast<std::uint64_t>(tokens_.sequence[begin_ + t]),
                                   static_cast<std::uint64_t>(tokens_.position[begin_ + t])));
      for (std::size_t i = 0; i < hidden_; ++i) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        rows_[t * hidden_ + i] =
            to_bf16(static_cast<float>(static_cast<std::int32_t>(state >> 32)) * 0x1p-31F);
      }
    }
  }

  void choose(int layer) {
    expert_.resize(count_ * k_);
    weight_.resize(count_ * k_);
    device_.resize(count_ * k_);
    grid_.resize(count_);
    const std::size_t width = static_cast<std::size_t>(tokens_.layers) * k_;
    for (std::size_t t = 0; t < count_; ++t) {
      const std::size_t token = begin_ + t;
      const std::size_t from = token * width + static_cast<std::size_t>(layer) * k_;
      const std::uint64_t key = token_key(static_cast<std::uint64_t>(tokens_.sequence[token]),
                                          static_cast<std::uint64_t>(tokens_.position[token]));
      for (std::size_t j = 0; j < k_; ++j) {
        expert_[t * k_ + j] = tokens_.chosen[from + j];
        weight_[t * k_ + j] = tokens_.weight[from + j];
        device_[t * k_ + j] =
            selector_->device_for(layer, tokens_.chosen[from + j], transport_.rank(), key);
      }
      grid_[t] = grid_for(std::span(weight_).subspan(t * k_, k_));
    }
  }

  void stand_in(int layer, const ExpertWork& work) {
    outputs_ = exchange_->output_memory();
    auto* out = reinterpret_cast<bf16*>(outputs_.data());
    for (std::size_t g = 0; g < work.experts.size(); ++g) {
      const float scale = expert_scale(layer, work.experts[g]);
      const auto end = static_cast<std::size_t>(work.offsets[g + 1]);
      for (auto e = static_cast<std::size_t>(work.offsets[g]); e < end; ++e) {
        const auto* row = reinterpret_cast<const bf16*>(work.row(work.row_of[e]));
        for (std::size_t i = 0; i < hidden_; ++i)
          out[e * hidden_ + i] = to_bf16(to_float(row[i]) * scale);
      }
    }
  }

  void check(int layer) const {
    for (std::size_t t = 0; t < count_; ++t) {
      for (std::size_t i = 0; i < hidden_; ++i) {
        float want = 0;
        for (std::size_t j = 0; j < k_; ++j) {
          const float scale = expert_scale(layer, expert_[t * k_ + j]);
          const bf16 output = to_bf16(to_float(rows_[t * hidden_ + i]) * scale);
          want += on_grid(weight_[t * k_ + j] * to_float(output), grid_[t]);
        }
        if (out_[t * hidden_ + i] != want) differ(layer, t, want, out_[t * hidden_ + i]);
      }
    }
  }

  [[noreturn]] void differ(int layer, std::size_t t, float want, float got) const {
    fail(ErrorCategory::kInternal,
         {"exchange: layer " + std::to_string(layer) + ", sequence " +
              std::to_string(tokens_.sequence[begin_ + t]) + ", position " +
              std::to_string(tokens_.position[begin_ + t]),
          std::to_string(got), std::to_string(want), "a sum came back wrong; please report this"});
  }

  ReplayTimes times_of_round() {
    transport_.max(seconds_);
    ReplayTimes times;
    for (std::size_t i = 0; i < seconds_.size(); ++i)
      (i % 2 == 0 ? times.dispatch_s : times.combine_s) += seconds_[i];
    return times;
  }

  const ReplayTokens& tokens_;
  const ReplayOptions& options_;
  Transport& transport_;
  std::size_t hidden_, k_;
  std::unique_ptr<ReplicaSelector> selector_;
  std::unique_ptr<Exchange> exchange_;
  std::size_t begin_ = 0, count_ = 0;  // the step's tokens
  std::vector<bf16> rows_;             // [tokens, hidden]
  std::span<std::byte> outputs_;       // [entries, hidden]
  std::vector<float> grid_, out_;
  std::vector<std::uint16_t> expert_;
  std::vector<float> weight_;
  std::vector<std::int32_t> device_;
  std::vector<Crossing> crossings_;  // [steps, layers, 2] of this round
  std::vector<double> seconds_;      // [steps, layers, 2] of this round: dispatch, combine
};

}  // namespace

std::int64_t replay_steps(const ReplayTokens& mine, int tokens_per_step, Transport& transport) {
  const auto most = static_cast<std::size_t>(tokens_per_step);
  const std::size_t own = (mine.tokens() + most - 1) / most;
  std::array<double, 1> steps{static_cast<double>(own)};
  transport.max(steps);
  return static_cast<std::int64_t>(steps[0]);
}

ReplayResult replay_exchange(const ReplayTokens& mine, const Plan& plan,
                             const ReplayOptions& options, const Topology& topology,
                             Transport& transport) {
  return Replay(mine, plan, options, topology, transport).run();
}

}  // namespace gracemoe
