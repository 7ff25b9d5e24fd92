// A page with every section: two runs, a trace, and plans that carry all that plans can.
#pragma once
#include "base/hash.h"
#include "metrics/sample_runs.h"
#include "planner/planner.h"
#include "report/html_report.h"

namespace gracemoe {

// 12 sequences of 20 tokens, 10 layers of 16 experts, top-3; experts of a run of four are often
// chosen together.
inline RoutingTrace clustered_trace() {
  RoutingTrace trace;
  trace.model = "sample-moe";
  trace.num_experts = 16;
  trace.top_k = 3;
  trace.layers = 10;
  for (int t = 0; t < 240; ++t) {
    trace.sequence.push_back(t / 20);
    for (int l = 0; l < trace.layers; ++l) {
      const auto draw = mix64(static_cast<std::uint64_t>(t * trace.layers + l + 1));
      const std::uint64_t first = draw % 16, cluster = first / 4 * 4;
      const std::uint64_t second = cluster + (first + 1 + (draw >> 8) % 3) % 4;
      std::uint64_t third = (draw >> 16) % 16;
      while (third == first || third == second) third = (third + 1) % 16;
      for (const auto e : {first, second, third})
        trace.experts.push_back(static_cast<std::uint16_t>(e));
    }
  }
  return trace;
}

// As an optimiser would leave it: with what memory buys, and predicted times.
inline void add_curves(Plan& plan) {
  plan.time_basis = "256 tokens a step, 25 Gbit/s between nodes";
  for (int i = 0; i <= 10; ++i) {
    const double x = 0.1 * i;
    plan.memory_curve.push_back({x, 0.9 * (1 - x), 1.05 + 0.1 * (1 - x), 1e-4 * (3 - 2 * x)});
  }
  for (auto& layer : plan.layers) layer.predicted_time = {1.2e-4, 0.3e-4, 0.8e-4};
}

// `trace` must outlive the input.
inline ReportInput sample_page(const RoutingTrace& trace) {
  ReportInput input;
  input.title = "Sample report";
  input.runs = {sample_run("vanilla", 8), sample_run("grace", 3)};
  input.trace = &trace;
  const auto statistics = count_statistics(trace);
  for (const auto& options : {preset_grace(), preset_occult()})
    input.plans.push_back(make_plan(statistics, Topology::parse("2,2,1"), options));
  input.plans.push_back(input.plans[0]);
  input.plans[2].preset = "grace with another device for some";
  for (auto& layer : input.plans[2].layers) layer.experts[3] = {{0, 1.0}};
  add_curves(input.plans[0]);
  return input;
}

}  // namespace gracemoe
