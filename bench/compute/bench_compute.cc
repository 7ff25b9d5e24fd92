// The operations of compute/ on this machine, one row of figures an instruction set, beside
// oneDNN's bf16 product. Every result is compared with the reference backend's before it is timed;
// a wrong one ends the program with code 1. Times are CPU times of one thread, so that neighbours
// on a shared machine disturb them less:
//   bench_compute --benchmark_filter=linear --benchmark_repetitions=5
//   --benchmark_report_aggregates_only=true
#include <benchmark/benchmark.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "compute/cpu/isa.h"
#include "onednn_product.h"

namespace gracemoe {
namespace {

std::vector<float> random_floats(std::size_t n, unsigned seed, float scale = 1.0F) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> normal(0.0F, scale);
  std::vector<float> values(n);
  for (auto& v : values) v = normal(generator);
  return values;
}

std::vector<bf16> random_bf16(std::size_t n, unsigned seed, float scale = 1.0F) {
  std::vector<bf16> rounded;
  for (const float v : random_floats(n, seed, scale)) rounded.push_back(to_bf16(v));
  return rounded;
}

template <class From, class Convert>
std::vector<float> to_floats(const std::vector<From>& values, const Convert& convert) {
  std::vector<float> wide;
  for (const From v : values) wide.push_back(convert(v));
  return wide;
}

// The relative error in the root mean square must stay within two roundings to bf16, 2^-8.
void verify(const std::string& name, std::span<const float> got, std::span<const float> want) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{got[i]} - want[i], 2);
    size += std::pow(double{want[i]}, 2);
  }
  if (!(std::sqrt(error / size) < 0x1p-8)) {
    std::fprintf(stderr, "%s: relative error %g, wanted at most %g\n", name.c_str(),
                 std::sqrt(error / size), 0x1p-8);
    std::exit(1);
  }
}

void time_flops(benchmark::State& state, double flops, const std::function<void()>& run) {
  for (auto _ : state) run();
  state.counters["FLOP/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate);
}

struct LinearCase {
  int rows, out, in;
  std::string text() const {
    return std::to_string(out) + "x" + std::to_string(in) + "/rows:" + std::to_string(rows);
  }
  double flops() const { return 2.0 * rows * out * in; }
};

struct LinearData {
  explicit LinearData(LinearCase c)
      : weight(random_bf16(static_cast<std::size_t>(c.out) * static_cast<std::size_t>(c.in), 1)),
        x(random_floats(static_cast<std::size_t>(c.rows) * static_cast<std::size_t>(c.in), 2)),
        y(static_cast<std::size_t>(c.rows) * static_cast<std::size_t>(c.out)),
        view{weight, c.out, c.in} {}
  // The first row suffices: the rows' equality is the tests' concern.
  void check(const std::string& name) const {
    std::vector<float> want(static_cast<std::size_t>(view.out));
    const auto first = std::span(x).first(static_cast<std::size_t>(view.in));
    make_reference_backend()->linear(view)->forward(first, 1, want);
    verify(name, y, want);
  }
  std::vector<bf16> weight;
  std::vector<float> x, y;
  WeightView view;
};

void bench_linear(benchmark::State& state, const std::string& isa, bool exact, LinearCase c) {
  LinearData data(c);
  const auto backend = make_cpu_backend({1, isa});
  const auto linear = exact ? backend->linear_float32(data.view) : backend->linear(data.view);
  const auto run = [&] { linear->forward(data.x, c.rows, data.y); };
  run();
  data.check(isa);
  time_flops(state, c.flops(), run);
}

void bench_onednn(benchmark::State& state, LinearCase c) {
  LinearData data(c);
  const auto run = onednn_product(data.view, data.x, c.rows, data.y);
  run();
  data.check("oneDNN");
  time_flops(state, c.flops(), run);
}

struct ExpertsCase {
  const char* name;
  int experts, hidden, width, entries;  // entries of every expert
};

void bench_experts(benchmark::State& state, const std::string& isa, ExpertsCase c) {
  const auto size = static_cast<std::size_t>(c.hidden) * static_cast<std::size_t>(c.width);
  const auto all = static_cast<std::size_t>(c.experts);
  const float scale = 1.0F / std::sqrt(static_cast<float>(c.hidden));
  const auto weight = random_bf16(3 * size * all, 1, scale);
  std::vector<ExpertWeights> experts;
  for (std::size_t e = 0; e < all; ++e) {
    const auto part = [&](std::size_t i) {
      return std::span(weight).subspan((3 * e + i) * size, size);
    };
    experts.push_back(
        {{part(0), c.width, c.hidden}, {part(1), c.width, c.hidden}, {part(2), c.hidden, c.width}});
  }
  const int entries = c.experts * c.entries;
  const auto rows =
      random_bf16(static_cast<std::size_t>(entries) * static_cast<std::size_t>(c.hidden), 2);
  std::vector<std::int32_t> expert, offsets{0}, row_of;
  for (int e = 0; e < c.experts; ++e) {
    expert.push_back(e);
    for (int i = 0; i < c.entries; ++i) row_of.push_back((e * 31 + i * 7) % entries);
    offsets.push_back(static_cast<std::int32_t>(row_of.size()));
  }
  std::vector<bf16> y(rows.size());
  const auto group = make_cpu_backend({1, isa})->experts(experts);
  const auto run = [&] {
    group->forward({reinterpret_cast<const std::byte*>(rows.data()), expert, offsets, row_of},
                   reinterpret_cast<std::byte*>(y.data()));
  };
  run();
  const auto wide = to_floats(rows, to_float);
  std::vector<float> want(static_cast<std::size_t>(c.hidden));
  const std::vector<std::int32_t> one = {0, 1};
  make_reference_backend()->experts(experts)->forward(
      {reinterpret_cast<const std::byte*>(wide.data()), std::span(expert).first(1), one,
       std::span(row_of).first(1)},
      reinterpret_cast<std::byte*>(want.data()));
  verify(isa, to_floats(y, to_float), want);
  time_flops(state, 6.0 * static_cast<double>(size) * entries, run);
}

struct AttentionCase {
  const char* name;
  int heads, kv_heads, dim, rows, first;
};

void bench_attention(benchmark::State& state, const std::string& isa, AttentionCase c) {
  const auto positions = static_cast<std::size_t>(c.first + c.rows);
  const auto kv = positions * static_cast<std::size_t>(c.kv_heads * c.dim);
  const auto keys = random_bf16(kv, 1), values = random_bf16(kv, 2);
  const auto q = random_floats(static_cast<std::size_t>(c.rows * c.heads * c.dim), 3);
  std::vector<float> out(q.size());
  const auto backend = make_cpu_backend({1, isa});
  const AttentionSpan span{0, c.rows, c.first, reinterpret_cast<const std::byte*>(keys.data()),
                           reinterpret_cast<const std::byte*>(values.data())};
  const auto run = [&] {
    backend->attention(q, grouped_query_shape(c.heads, c.kv_heads, c.dim), std::span(&span, 1),
                       out);
  };
  run();
  const auto wide_keys = to_floats(keys, to_float), wide_values = to_floats(values, to_float);
  const AttentionSpan wide{0, 1, c.first, reinterpret_cast<const std::byte*>(wide_keys.data()),
                           reinterpret_cast<const std::byte*>(wide_values.data())};
  std::vector<float> want(static_cast<std::size_t>(c.heads * c.dim));
  make_reference_backend()->attention(std::span(q).first(want.size()),
                                      grouped_query_shape(c.heads, c.kv_heads, c.dim),
                                      std::span(&wide, 1), want);
  verify(isa, out, want);
  const double pairs = c.rows * (c.first + (c.rows + 1) / 2.0);
  time_flops(state, 4.0 * pairs * c.heads * c.dim, run);
}

void bench_rope(benchmark::State& state, const std::string& isa) {
  constexpr std::size_t kRows = 512;
  std::vector<std::int32_t> position(kRows);
  for (std::size_t i = 0; i < kRows; ++i) position[i] = static_cast<std::int32_t>(i);
  auto x = random_floats(kRows * 256, 1);
  const auto backend = make_cpu_backend({1, isa});
  const Rope rope = plain_rope(32, 1e4);
  for (auto _ : state) backend->rope(x, 8, position, rope);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRows));
}

void bench_norm(benchmark::State& state, const std::string& isa) {
  constexpr std::size_t kRows = 512, kWidth = 2048;
  const auto x = random_floats(kRows * kWidth, 1);
  const auto weight = random_bf16(kWidth, 2);
  std::vector<float> y(x.size());
  const auto backend = make_cpu_backend({1, isa});
  for (auto _ : state) backend->rms_norm(x, weight, 1e-5, y);
  state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations() * kRows));
}

void register_all() {
  const LinearCase linears[] = {{1, 256, 256},    {8, 256, 256},    {64, 256, 256},
                                {512, 256, 256},  {1, 2048, 2048},  {8, 2048, 2048},
                                {64, 2048, 2048}, {512, 2048, 2048}};
  // The shipped model (64 experts of 256 x 64) and OLMoE-1B-7B's shape (2048 x 1024).
  const ExpertsCase experts[] = {
      {"256x64/entries:1", 8, 256, 64, 1},        {"256x64/entries:16", 64, 256, 64, 16},
      {"256x64/entries:128", 64, 256, 64, 128},   {"2048x1024/entries:1", 16, 2048, 1024, 1},
      {"2048x1024/entries:2", 16, 2048, 1024, 2}, {"2048x1024/entries:4", 16, 2048, 1024, 4},
      {"2048x1024/entries:8", 16, 2048, 1024, 8}, {"2048x1024/entries:64", 8, 2048, 1024, 64}};
  const AttentionCase attentions[] = {{"heads8_dim32/prefill:128", 8, 8, 32, 128, 0},
                                      {"heads8_dim32/prefill:512", 8, 8, 32, 512, 0},
                                      {"heads8_dim32/decode:128", 8, 8, 32, 1, 127},
                                      {"heads8_dim32/decode:512", 8, 8, 32, 1, 511},
                                      {"heads16_dim128/prefill:512", 16, 16, 128, 512, 0},
                                      {"heads16_dim128/prefill:2048", 16, 16, 128, 2048, 0},
                                      {"heads16_dim128/decode:2048", 16, 16, 128, 1, 2047},
                                      {"heads32_kv4_dim128/prefill:512", 32, 4, 128, 512, 0},
                                      {"heads32_kv4_dim128/decode:2048", 32, 4, 128, 1, 2047}};
  for (const auto& c : linears) {
    benchmark::RegisterBenchmark(("linear/onednn/" + c.text()).c_str(), bench_onednn, c);
  }
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
    if (!isa_available(isa)) continue;
    const std::string name = isa_name(isa);
    for (const auto& c : linears) {
      benchmark::RegisterBenchmark(("linear/" + name + "/" + c.text()).c_str(), bench_linear, name,
                                   false, c);
    }
    benchmark::RegisterBenchmark(("linear_float32/" + name + "/64x2048/rows:64").c_str(),
                                 bench_linear, name, true, LinearCase{64, 64, 2048});
    for (const auto& c : experts) {
      benchmark::RegisterBenchmark(("experts/" + name + "/" + c.name).c_str(), bench_experts, name,
                                   c);
    }
    for (const auto& c : attentions) {
      benchmark::RegisterBenchmark(("attention/" + name + "/" + c.name).c_str(), bench_attention,
                                   name, c);
    }
    benchmark::RegisterBenchmark(("rope/" + name).c_str(), bench_rope, name);
    benchmark::RegisterBenchmark(("norm/" + name).c_str(), bench_norm, name);
  }
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  benchmark::AddCustomContext("best instruction set", gracemoe::isa_name(gracemoe::best_isa()));
  gracemoe::register_all();
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
