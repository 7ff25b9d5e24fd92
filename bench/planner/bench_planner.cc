// balance_layers() beside EPLB: max/mean of the devices' loads, and the time for all layers. Every
// result is verified first: experts all placed, none twice on a device, slots kept, shares that sum
// to 1, and the busiest device not above EPLB's in any layer; a wrong one ends the program with
// code 1. Medians of wall time, one thread a hardware thread:
//   bench_planner [repetitions]
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "planner/balance.h"
#include "planner/eplb.h"
#include "planner/load_inputs.h"
#include "planner/parallel.h"

namespace gracemoe {
namespace {

struct Size {
  int layers, experts, devices, slots;
};
struct Load {
  const char* name;
  LoadKind kind;
};

constexpr Size kSizes[] = {{16, 64, 8, 72},     {26, 64, 4, 64},     {48, 128, 16, 128},
                           {48, 128, 16, 160},  {58, 256, 32, 288},  {58, 256, 64, 320},
                           {58, 256, 144, 288}, {58, 256, 320, 640}, {58, 160, 7, 168}};
constexpr Load kLoads[] = {{"zipf 1", LoadKind::kZipf},
                           {"zipf 1.5", LoadKind::kSteepZipf},
                           {"lognormal", LoadKind::kLogNormal},
                           {"uniform", LoadKind::kUniform},
                           {"one hot", LoadKind::kOneHot},
                           {"most zero", LoadKind::kMostlyZero},
                           {"ties", LoadKind::kTies}};

std::string machine() {
  std::ifstream cpus("/proc/cpuinfo");
  std::string line, name = "unknown processor";
  while (std::getline(cpus, line))
    if (line.starts_with("model name")) name = line.substr(line.find(':') + 2);
  return name + ", " + std::to_string(std::thread::hardware_concurrency()) + " hardware threads";
}

struct Milliseconds {
  double wall, cpu;  // cpu: of all threads
};

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

Milliseconds median_ms(int repetitions, const std::function<void()>& run) {
  using Clock = std::chrono::steady_clock;
  std::vector<double> wall, cpu;
  for (int i = 0; i < repetitions; ++i) {
    const std::clock_t cpu_start = std::clock();
    const auto start = Clock::now();
    run();
    wall.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    cpu.push_back(1e3 * static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC);
  }
  return {median(wall), median(cpu)};
}

[[noreturn]] void wrong(const std::string& what) {
  std::fprintf(stderr, "bench_planner: %s\n", what.c_str());
  std::exit(1);
}

// True if every share is equal.
bool verify(const BalanceResult& result, std::span<const double> load,
            const std::vector<int>& slots) {
  std::vector<double> share(load.size());
  bool equal = true;
  double busiest = 0, total = 0;
  for (std::size_t d = 0; d < slots.size(); ++d) {
    const auto& held = result.device_experts[d];
    if (held.size() > static_cast<std::size_t>(slots[d])) wrong("a device holds too much");
    double cost = 0;
    for (std::size_t i = 0; i < held.size(); ++i) {
      if (i > 0 && held[i - 1] >= held[i]) wrong("an expert twice on a device");
      const auto e = static_cast<std::size_t>(held[i]);
      share[e] += result.share[d][i];
      cost += result.share[d][i] * load[e];
      equal = equal && std::abs(result.share[d][i] * result.count[e] - 1) < 1e-9;
    }
    busiest = std::max(busiest, cost);
    total += cost;
  }
  for (const double s : share)
    if (std::abs(s - 1) > 1e-9) wrong("shares of an expert do not sum to 1");
  const double measured = busiest * static_cast<double>(slots.size()) / total;
  if (std::abs(measured - result.max_over_mean) > 1e-9 * measured) wrong("max/mean is not so");
  return equal;
}

void compare(const Size& size, const Load& kind, int repetitions) {
  Random random(7);
  std::vector<double> loads;
  for (int layer = 0; layer < size.layers; ++layer) {
    const auto load = random_loads(random, kind.kind, size.experts);
    loads.insert(loads.end(), load.begin(), load.end());
  }
  const auto layer_load = [&](int layer) {
    const auto n = static_cast<std::size_t>(size.experts);
    return std::span<const double>(loads).subspan(static_cast<std::size_t>(layer) * n, n);
  };
  std::vector<EplbLayer> published(static_cast<std::size_t>(size.layers));
  const auto publish = [&](int layer) {
    published[static_cast<std::size_t>(layer)] =
        eplb(layer_load(layer), {size.slots, size.devices});
  };
  const Milliseconds eplb_ms =
      median_ms(repetitions, [&] { parallel_for(size.layers, 0, publish); });
  BalanceProblem shape;
  shape.slots_per_device = even_slots(size.slots, size.devices);
  std::vector<BalanceResult> results;
  const Milliseconds ms =
      median_ms(repetitions, [&] { results = balance_layers(loads, size.layers, shape); });
  double eplb_mean = 0, eplb_worst = 0, mean = 0, worst = 0;
  int uneven = 0;
  for (int layer = 0; layer < size.layers; ++layer) {
    const auto l = static_cast<std::size_t>(layer);
    if (!verify(results[l], layer_load(layer), shape.slots_per_device)) ++uneven;
    const double theirs = slots_max_over_mean(published[l], layer_load(layer), size.devices);
    const double ours = results[l].max_over_mean;
    if (ours > theirs * (1 + 1e-9)) wrong("worse than EPLB");
    eplb_mean += theirs / size.layers;
    mean += ours / size.layers;
    eplb_worst = std::max(eplb_worst, theirs);
    worst = std::max(worst, ours);
  }
  std::printf("%2d x %3d %4d %4d  %-9s %7.4f %7.4f %6.1f  %7.4f %7.4f %6.1f %6.1f  %d\n",
              size.layers, size.experts, size.devices, size.slots, kind.name, eplb_mean, eplb_worst,
              eplb_ms.wall, mean, worst, ms.wall, ms.cpu, uneven);
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  using namespace gracemoe;
  const int repetitions = argc > 1 ? std::atoi(argv[1]) : 5;
  if (repetitions < 1) {
    std::fprintf(stderr, "usage: bench_planner [repetitions]\n");
    return 2;
  }
  std::printf("%s; medians of %d\n", machine().c_str(), repetitions);
  std::printf("max/mean over layers; ms for all layers, wall and CPU of all threads\n");
  std::printf(
      "layers x devi                 EPLB                    balance                        "
      "layers with\n");
  std::printf(
      " experts  ces slots load         mean   worst   wall     mean   worst   wall    cpu  "
      "EPLB's shares\n");
  for (const Size& size : kSizes)
    for (const Load& kind : kLoads) compare(size, kind, repetitions);
  return 0;
}
