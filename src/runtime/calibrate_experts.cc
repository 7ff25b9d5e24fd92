#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/hash.h"
#include "runtime/calibrate.h"

namespace gracemoe {
namespace {

constexpr double kHeldBytes = 192e6;  // more than caches hold, so that weights come from memory
constexpr double kMostBytes = 512e6;  // used in one step
constexpr int kMostHeld = 1024, kMostUsed = 16;
constexpr int kTokens = 128;  // rows of a step, shared by the experts
constexpr int kLeastRepeats = 3, kMostRepeats = 300;
constexpr double kAlike = 0.9;  // speeds from here on count as equal to the fastest
constexpr double kFastest = 1e15;

// Seconds of one expert with each number of tokens, on this device.
class ExpertBench {
 public:
  ExpertBench(const Backend& backend, const CalibrateOptions& options, int devices)
      : options_(options), hidden_(static_cast<std::size_t>(options.hidden)) {
    const auto width = static_cast<std::size_t>(options.expert_width);
    const double bytes = 6.0 * options.hidden * options.expert_width;
    const int here = (options.experts + devices - 1) / devices;
    used_ = std::clamp(static_cast<int>(std::min(kMostBytes / bytes, 1.0 * kMostUsed)), 1, here);
    held_ = std::clamp(static_cast<int>(std::min(kHeldBytes / bytes, 1.0 * kMostHeld)), used_,
                       std::max(used_, kMostHeld));
    fill(gate_up_, hidden_ * width, 1);
    fill(down_, hidden_ * width, 2);
    const WeightView in{gate_up_, options.expert_width, options.hidden};
    const WeightView out{down_, options.hidden, options.expert_width};
    // One set of numbers serves all: the kernels keep packed copies, each at its own place.
    group_ =
        backend.experts(std::vector<ExpertWeights>(static_cast<std::size_t>(held_), {in, in, out}));
    std::vector<float> x(kTokens * hidden_);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = unit(i, 3);
    rows_.resize(x.size() * backend.row_element_size());
    outputs_.resize(static_cast<std::size_t>(used_) * kTokens * hidden_ *
                    backend.row_element_size());
    backend.store_rows(x, rows_.data());
  }

  // Lower quartile of some repeats that take about `budget` seconds: what else runs on the machine
  // only ever adds.
  double seconds_of_one(int tokens, double budget) {
    step(tokens);
    std::vector<double> seconds;
    const double start = options_.clock();
    for (int i = 0; i < kMostRepeats; ++i) {
      if (i >= kLeastRepeats && options_.clock() - start > budget) break;
      const double before = options_.compute_clock();
      step(tokens);
      seconds.push_back(options_.compute_clock() - before);
    }
    const auto quartile = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 4);
    std::nth_element(seconds.begin(), quartile, seconds.end());
    return std::max(*quartile, 1e-9) / used_;
  }

 private:
  static float unit(std::uint64_t i, std::uint64_t salt) {
    return static_cast<float>(hash_combine(salt, i) % 2001) * 1e-3F - 1;
  }
  static void fill(std::vector<bf16>& weights, std::size_t size, std::uint64_t salt) {
    weights.resize(size);
    for (std::size_t i = 0; i < size; ++i) weights[i] = to_bf16(0.05F * unit(i, salt));
  }

  // The experts after those of the step before: theirs have left the cache by now.
  void step(int tokens) {
    experts_.clear();
    offsets_.assign(1, 0);
    row_of_.clear();
    for (int e = 0; e < used_; ++e) {
      experts_.push_back((next_ + e) % held_);
      for (int t = 0; t < tokens; ++t) row_of_.push_back(t);
      offsets_.push_back(static_cast<std::int32_t>(row_of_.size()));
    }
    next_ = (next_ + used_) % held_;
    group_->forward({rows_.data(), experts_, offsets_, row_of_}, outputs_.data());
  }

  const CalibrateOptions& options_;
  std::size_t hidden_;
  int used_ = 1, held_ = 1, next_ = 0;
  std::vector<bf16> gate_up_, down_;
  std::unique_ptr<ExpertGroup> group_;
  std::vector<std::byte> rows_, outputs_;
  std::vector<std::int32_t> experts_, offsets_, row_of_;
};

using DeviceTimes = std::vector<std::vector<double>>;  // [points][devices]

// All devices work at the same time, as in a run; they stop together where time is short.
DeviceTimes time_devices(Transport& transport, const Backend& backend,
                         const CalibrateOptions& options) {
  ExpertBench bench(backend, options, transport.size());
  const double budget = options.seconds / 2 / static_cast<double>(kExpertRows.size());
  DeviceTimes times;
  bool enough = false;
  for (const int tokens : kExpertRows) {
    if (!enough) {
      transport.barrier();
      const double start = options.clock();
      std::vector<double> seconds(static_cast<std::size_t>(transport.size()) + 1);
      seconds[static_cast<std::size_t>(transport.rank())] = bench.seconds_of_one(tokens, budget);
      if (options.clock() - start > 2 * budget) seconds.back() = 1;
      transport.sum(seconds);
      enough = seconds.back() > 0;
      seconds.pop_back();
      times.push_back(std::move(seconds));
    }
    if (options.step_done) options.step_done();
  }
  return times;
}

// Relative to the fastest device, by geometric means over the points.
std::vector<double> speeds_of(const DeviceTimes& times) {
  std::vector<double> speed(times[0].size());
  for (std::size_t d = 0; d < speed.size(); ++d) {
    double logs = 0;
    for (const auto& point : times) logs += std::log(point[d]);
    speed[d] = std::exp(-logs / static_cast<double>(times.size()));
  }
  const double fastest = *std::max_element(speed.begin(), speed.end());
  for (double& s : speed) s = s / fastest >= kAlike ? 1 : s / fastest;
  return speed;
}

// Of the devices of speed 1.
std::vector<double> mean_times(const DeviceTimes& times, const std::vector<double>& speed) {
  std::vector<double> means;
  for (const auto& point : times) {
    double sum = 0, count = 0;
    for (std::size_t d = 0; d < speed.size(); ++d)
      if (speed[d] == 1) sum += point[d], ++count;
    means.push_back(sum / count);
  }
  return means;
}

}  // namespace

void calibrate_experts(Transport& transport, const Backend& backend,
                       const CalibrateOptions& options, Calibration& result) {
  GM_CHECK(options.hidden > 0 && options.expert_width > 0 && options.experts > 0,
           "calibrate: a shape of experts");
  const DeviceTimes times = time_devices(transport, backend, options);
  const std::vector<double> speed = speeds_of(times);
  GM_CHECK(speed.size() == result.cluster.devices.size(), "calibrate: one rank a device");
  for (std::size_t d = 0; d < speed.size(); ++d) result.cluster.devices[d].speed = speed[d];
  result.expert_seconds = mean_times(times, speed);
  const std::vector<double> tokens(
      kExpertRows.begin(),
      kExpertRows.begin() + static_cast<std::ptrdiff_t>(result.expert_seconds.size()));
  result.expert = fit_line(tokens, result.expert_seconds);
  const double size = 6.0 * options.hidden * options.expert_width;  // operations, and bytes
  const auto rate = [size](double seconds) {
    return seconds * kFastest > size ? size / seconds : kFastest;
  };
  result.cluster.compute = {rate(result.expert.slope), rate(result.expert.intercept),
                            options.hidden, options.expert_width};
}

}  // namespace gracemoe
