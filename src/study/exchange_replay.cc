#include "study/exchange_replay.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <span>
#include <string>

#include "base/bf16.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "exchange/vector_clones.h"
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

// What an expert is here. Rows are finite, so that, unlike to_bf16, it has no NaN to keep: it
// becomes vectors.
GM_VECTOR_CLONES
void multiply_row(const bf16* row, float scale, std::size_t count, bf16* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const auto bits = std::bit_cast<std::uint32_t>(to_float(row[i]) * scale);
    out[i] = bf16{static_cast<std::uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16)};
  }
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
        prepare_step(step);
        if (exchange_->lanes() > 1)
          run_in_lanes();
        else
          run_in_phases();
        if (options_.progress) options_.progress(round * result.steps + step + 1);
      }
      result.rounds.push_back(times_of_round());
    }
    result.counters = gather_vectors(transport_, exchange_->counters().layers, 0);
    result.crossings = gather_vectors(transport_, crossings_, 0);
    return result;
  }

 private:
  // What a layer's router chose for the step's tokens.
  struct Choices {
    std::vector<std::uint16_t> expert;  // [tokens, k]
    std::vector<float> weight;
    std::vector<std::int32_t> device;
    std::vector<float> grid;  // [tokens]
  };
  // Tokens of the step that travel together.
  struct Tokens {
    std::size_t first = 0, count = 0;
  };

  void prepare_step(std::int64_t step) {
    const auto most = static_cast<std::size_t>(options_.tokens_per_step);
    begin_ = std::min(tokens_.tokens(), static_cast<std::size_t>(step) * most);
    count_ = std::min(most, tokens_.tokens() - begin_);
    make_rows();
    choices_.resize(static_cast<std::size_t>(tokens_.layers));
    for (int layer = 0; layer < tokens_.layers; ++layer) choose(layer);
  }

  // Each phase by itself, from when all devices are ready.
  void run_in_phases() {
    const Tokens all{0, count_};
    for (int layer = 0; layer < tokens_.layers; ++layer) {
      const LayerCounters before = counted(layer);
      transport_.barrier();
      double start = wall_seconds();
      const ExpertWork& work = exchange_->dispatch(layer, routes(layer, all), rows_of(all));
      seconds_.push_back(wall_seconds() - start);
      const std::span<std::byte> outputs = exchange_->output_memory();
      stand_in(layer, work, outputs.data());
      std::vector<float>& out = result_memory(0);
      transport_.barrier();
      start = wall_seconds();
      exchange_->combine(outputs, out);
      seconds_.push_back(wall_seconds() - start);
      note_crossings(before, counted(layer));
      check(layer, out);
    }
  }

  // As an engine does: while one lane's rows are on their way out, the other's come back.
  void run_in_lanes() {
    const std::size_t half = (count_ + 1) / 2;
    const std::array<Tokens, 2> lanes{{{0, half}, {half, count_ - half}}};
    std::vector<LayerCounters> before = exchange_->counters().layers;
    for (int layer = 0; layer < tokens_.layers; ++layer) result_memory(layer);
    transport_.barrier();
    const double start = wall_seconds();
    for (int lane = 0; lane < 2; ++lane) begin(lane, 0, lanes);
    for (int layer = 0; layer < tokens_.layers; ++layer) {
      for (int lane = 0; lane < 2; ++lane) compute(lane, layer);
      for (int lane = 0; lane < 2; ++lane) {
        const Tokens& its = lanes[static_cast<std::size_t>(lane)];
        exchange_->finish(lane, std::span(results_[static_cast<std::size_t>(layer)])
                                    .subspan(its.first * hidden_, its.count * hidden_));
        if (layer + 1 < tokens_.layers) begin(lane, layer + 1, lanes);
      }
    }
    seconds_.push_back(wall_seconds() - start);
    Crossing step;
    for (int layer = 0; layer < tokens_.layers; ++layer) {
      for (const Crossing& its : crossings(before[static_cast<std::size_t>(layer)], counted(layer)))
        step = {step.sent + its.sent, step.received + its.received};
      check(layer, results_[static_cast<std::size_t>(layer)]);
    }
    crossings_.push_back(step);
  }

  void begin(int lane, int layer, const std::array<Tokens, 2>& lanes) {
    const Tokens& its = lanes[static_cast<std::size_t>(lane)];
    exchange_->begin(lane, layer, routes(layer, its), rows_of(its));
  }

  // Both lanes are begun. Where the lane waits the other's parts are taken, as MoeLayer does.
  void compute(int lane, int layer) {
    WorkPart part;
    for (Ready ready; (ready = exchange_->next(lane, part)) != Ready::kNone;) {
      if (ready == Ready::kLater && exchange_->next(1 - lane, part) != Ready::kPart) {
        exchange_->wait();
        continue;
      }
      stand_in(layer, part, part.outputs);
      exchange_->done(part);
    }
  }

  const LayerCounters& counted(int layer) const {
    return exchange_->counters().layers[static_cast<std::size_t>(layer)];
  }

  std::vector<float>& result_memory(int layer) {
    const auto at = static_cast<std::size_t>(layer);
    if (results_.size() <= at) results_.resize(at + 1);
    results_[at].resize(count_ * hidden_);
    return results_[at];
  }

  TokenRoutes routes(int layer, Tokens its) const {
    const Choices& all = choices_[static_cast<std::size_t>(layer)];
    const std::size_t first = its.first * k_, count = its.count * k_;
    return {static_cast<int>(its.count),
            tokens_.top_k,
            std::span(all.expert).subspan(first, count),
            std::span(all.weight).subspan(first, count),
            std::span(all.device).subspan(first, count),
            std::span(all.grid).subspan(its.first, its.count)};
  }

  std::span<const std::byte> rows_of(Tokens its) const {
    return std::as_bytes(std::span(rows_).subspan(its.first * hidden_, its.count * hidden_));
  }

  // Of a dispatch and of a combine.
  static std::array<Crossing, 2> crossings(const LayerCounters& before, const LayerCounters& now) {
    return {{{now.dispatch_payload.cross_node - before.dispatch_payload.cross_node,
              now.dispatch_received - before.dispatch_received},
             {now.combine_payload.cross_node - before.combine_payload.cross_node,
              now.combine_received - before.combine_received}}};
  }

  void note_crossings(const LayerCounters& before, const LayerCounters& now) {
    for (const Crossing& its : crossings(before, now)) crossings_.push_back(its);
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
    Choices& its = choices_[static_cast<std::size_t>(layer)];
    its.expert.resize(count_ * k_);
    its.weight.resize(count_ * k_);
    its.device.resize(count_ * k_);
    its.grid.resize(count_);
    const std::size_t width = static_cast<std::size_t>(tokens_.layers) * k_;
    for (std::size_t t = 0; t < count_; ++t) {
      const std::size_t token = begin_ + t;
      const std::size_t from = token * width + static_cast<std::size_t>(layer) * k_;
      const std::uint64_t key = token_key(static_cast<std::uint64_t>(tokens_.sequence[token]),
                                          static_cast<std::uint64_t>(tokens_.position[token]));
      for (std::size_t j = 0; j < k_; ++j) {
        its.expert[t * k_ + j] = tokens_.chosen[from + j];
        its.weight[t * k_ + j] = tokens_.weight[from + j];
        its.device[t * k_ + j] =
            selector_->device_for(layer, tokens_.chosen[from + j], transport_.rank(), key);
      }
      its.grid[t] = grid_for(std::span(its.weight).subspan(t * k_, k_));
    }
  }

  // `work`: an ExpertWork or a part of one.
  template <typename Work>
  void stand_in(int layer, const Work& work, std::byte* outputs) const {
    auto* out = reinterpret_cast<bf16*>(outputs);
    for (std::size_t g = 0; g < work.experts.size(); ++g) {
      const float scale = expert_scale(layer, work.experts[g]);
      const auto end = static_cast<std::size_t>(work.offsets[g + 1]);
      for (auto e = static_cast<std::size_t>(work.offsets[g]); e < end; ++e) {
        const auto r = static_cast<std::size_t>(work.row_of[e]);
        const auto* row = reinterpret_cast<const bf16*>(
            work.row_data == nullptr ? work.row_at[r] : work.row_data + r * hidden_ * sizeof(bf16));
        multiply_row(row, scale, hidden_, out + e * hidden_);
      }
    }
  }

  void check(int layer, std::span<const float> out) const {
    const Choices& its = choices_[static_cast<std::size_t>(layer)];
    for (std::size_t t = 0; t < count_; ++t) {
      for (std::size_t i = 0; i < hidden_; ++i) {
        float want = 0;
        for (std::size_t j = 0; j < k_; ++j) {
          const float scale = expert_scale(layer, its.expert[t * k_ + j]);
          const bf16 output = to_bf16(to_float(rows_[t * hidden_ + i]) * scale);
          want += on_grid(its.weight[t * k_ + j] * to_float(output), its.grid[t]);
        }
        if (out[t * hidden_ + i] != want) differ(layer, t, want, out[t * hidden_ + i]);
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
    for (std::size_t i = 0; i < seconds_.size(); ++i) {
      if (exchange_->lanes() > 1)
        times.together_s += seconds_[i];
      else
        (i % 2 == 0 ? times.dispatch_s : times.combine_s) += seconds_[i];
    }
    return times;
  }

  const ReplayTokens& tokens_;
  const ReplayOptions& options_;
  Transport& transport_;
  std::size_t hidden_, k_;
  std::unique_ptr<ReplicaSelector> selector_;
  std::unique_ptr<Exchange> exchange_;
  std::size_t begin_ = 0, count_ = 0;        // the step's tokens
  std::vector<bf16> rows_;                   // [tokens, hidden]
  std::vector<Choices> choices_;             // [layers]
  std::vector<std::vector<float>> results_;  // [layers, or 1 in phases][tokens, hidden]
  std::vector<Crossing> crossings_;          // of this round, as ReplayResult
  std::vector<double> seconds_;              // of this round, of each phase, or of each step
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
