#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/hash.h"
#include "planner/parallel.h"
#include "planner/search_plan.h"

namespace gracemoe {
namespace {

constexpr int kSequence = 64;       // tokens of a sequence
constexpr int kPilotTokens = 2048;  // to learn how drawing without replacement shifts the loads
constexpr int kPilotRounds = 4;

// One layer's draws.
class Sampler {
 public:
  Sampler(const RoutingStatistics& statistics, int layer, std::uint64_t seed)
      : n_(static_cast<std::size_t>(statistics.num_experts)),
        k_(static_cast<std::size_t>(statistics.top_k)),
        seed_(hash_combine(seed, static_cast<std::uint64_t>(layer))) {
    const auto load = statistics.layer_load(layer);
    const double total = std::accumulate(load.begin(), load.end(), 0.0);
    for (const double l : load) target_.push_back(total > 0 ? l / total : 1.0 / load.size());
    weight_ = target_;
    if (!statistics.affinity.empty() && total > 0)
      set_lift(statistics.layer_affinity(layer), load, total);
    for (int round = 0; round < kPilotRounds; ++round) adjust(round);
  }

  // k distinct experts.
  void draw(std::uint64_t token, std::uint16_t* out) {
    now_ = weight_;
    taken_.assign(n_, 0);
    lifts_.assign(n_, 0);
    for (std::size_t j = 0; j < k_; ++j) {
      const double total = std::accumulate(now_.begin(), now_.end(), 0.0);
      const std::size_t e = pick(total, unit_interval(hash_combine(hash_combine(seed_, token), j)));
      out[j] = static_cast<std::uint16_t>(e);
      join(e);
    }
  }

 private:
  // How much more often than by chance both are selected.
  void set_lift(std::span<const double> affinity, std::span<const double> load, double total) {
    const double tokens = total / static_cast<double>(k_);
    lift_.assign(n_ * n_, 0);
    for (std::size_t i = 0; i < n_; ++i)
      for (std::size_t j = 0; j < n_; ++j)
        if (i != j && load[i] > 0 && load[j] > 0)
          lift_[i * n_ + j] = affinity[i * n_ + j] * tokens / (load[i] * load[j]);
  }

  std::size_t pick(double total, double at) const {
    double sum = 0;
    std::size_t last = n_;
    for (std::size_t e = 0; e < n_; ++e) {
      if (now_[e] > 0) last = e;
      sum += now_[e];
      if (now_[e] > 0 && sum > at * total) return e;
    }
    if (last < n_) return last;
    // Nothing is left that goes with what was drawn: any expert not yet taken.
    for (std::size_t e = 0; e < n_; ++e)
      if (taken_[e] == 0) return e;
    return 0;
  }

  // Takes e out, and favours those that go with it and with the others drawn, on average: the
  // product of their lifts would favour them far more than pairs say.
  void join(std::size_t e) {
    taken_[e] = 1;
    now_[e] = 0;
    for (std::size_t i = 0; i < n_ && !lift_.empty(); ++i) {
      lifts_[i] += lift_[e * n_ + i];
      if (taken_[i] == 0) now_[i] = weight_[i] * lifts_[i];
    }
  }

  void adjust(int round) {
    std::vector<double> seen(n_);
    std::vector<std::uint16_t> chosen(k_);
    for (int t = 0; t < kPilotTokens; ++t) {
      draw(hash_combine(static_cast<std::uint64_t>(round) + 1, static_cast<std::uint64_t>(t)),
           chosen.data());
      for (const auto e : chosen) seen[e] += 1;
    }
    const double pairs = static_cast<double>(kPilotTokens) * static_cast<double>(k_);
    for (std::size_t e = 0; e < n_; ++e)
      if (target_[e] > 0)
        weight_[e] *= std::clamp((target_[e] * pairs + 1) / (seen[e] + 1), 0.25, 4.0);
  }

  std::size_t n_, k_;
  std::uint64_t seed_;
  std::vector<double> target_, weight_, lift_, now_, lifts_;
  std::vector<char> taken_;
};

}  // namespace

RoutingTrace sample_trace(const RoutingStatistics& statistics, std::int64_t tokens,
                          std::uint64_t seed, int threads) {
  RoutingTrace trace;
  trace.model = statistics.model;
  trace.fingerprint = statistics.fingerprint;
  trace.phase = "sampled";
  trace.num_experts = statistics.num_experts;
  trace.top_k = statistics.top_k;
  trace.layers = statistics.layers;
  const double total = std::accumulate(statistics.load.begin(), statistics.load.end(), 0.0);
  if (!(total > 0)) return trace;
  const auto layers = static_cast<std::size_t>(trace.layers);
  const auto k = static_cast<std::size_t>(trace.top_k);
  for (std::int64_t t = 0; t < tokens; ++t)
    trace.sequence.push_back(static_cast<std::int32_t>(t / kSequence));
  trace.experts.resize(static_cast<std::size_t>(tokens) * layers * k);
  parallel_for(trace.layers, threads, [&](int layer) {
    Sampler sampler(statistics, layer, seed);
    for (std::size_t t = 0; t < static_cast<std::size_t>(tokens); ++t)
      sampler.draw(hash_combine(0, t),
                   trace.experts.data() + (t * layers + static_cast<std::size_t>(layer)) * k);
  });
  return trace;
}

}  // namespace gracemoe
