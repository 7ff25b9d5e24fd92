// Holds the cost model against a run: predicted and measured seconds of a MoE layer in a step.
//   predicted_time CLUSTER.json PLAN.json TRACE RUN.json TOKENS_PER_DEVICE
// RUN.json and TRACE are of one run of `gracemoe generate --plan PLAN.json --exchange hierarchical
// --stats RUN.json --trace TRACE` in which every step has as many tokens (--max-tokens 1, prompts
// that fill --max-rows). docs/cost_model.md tells how, and what came out.
#include <fmt/core.h>

#include <algorithm>
#include <exception>
#include <string>

#include "metrics/run_statistics.h"
#include "planner/cost_model.h"

namespace gracemoe {
namespace {

// Means over layers and steps, of the slowest device.
struct Measured {
  double exchange_s = 0;    // dispatch and combine, waiting for slower devices included
  double least_wait_s = 0;  // the same of the device that waited least: nearest to the wires alone
  double compute_s = 0;     // CPU seconds of the experts
  double layer_s = 0;       // whole layer, gate included
};

Measured measured(const RunStatistics& run, double steps) {
  Measured m;
  for (const auto& layer : run.layers) {
    double exchange = 0, least = 1e300, compute = 0, whole = 0;
    for (const LayerDeviceStatistics& d : layer) {
      exchange = std::max(exchange, d.dispatch_s + d.combine_s);
      least = std::min(least, d.dispatch_s + d.combine_s);
      compute = std::max(compute, d.expert_compute_s);
      whole = std::max(whole, d.moe_layer_s);
    }
    const double share = 1 / (steps * static_cast<double>(run.layers.size()));
    m.exchange_s += exchange * share;
    m.least_wait_s += least * share;
    m.compute_s += compute * share;
    m.layer_s += whole * share;
  }
  return m;
}

void compare(char** argv) {
  const double tokens_per_device = std::stod(argv[5]);
  const Cluster cluster = read_cluster(argv[1]);
  const Plan plan = read_plan(argv[2]);
  const RoutingTrace trace = read_trace(argv[3]);
  const RunStatistics run = read_run_statistics(argv[4]);
  const CostModel model = make_cost_model(
      cluster, {cluster.compute.hidden, cluster.compute.expert_width}, tokens_per_device);
  const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware);
  const LayerTime t = mean_layer_time(model, metrics);
  const double steps =
      static_cast<double>(trace.tokens()) / (tokens_per_device * plan.topology.devices());
  const Measured m = measured(run, steps);
  fmt::print(
      "{} ({}), {:.1f} steps: predicted {:.2f} ms (between nodes {:.2f}, inside {:.2f}, "
      "compute {:.2f}); measured layer {:.2f}, exchange {:.2f} (least waiting {:.2f}), "
      "compute {:.2f} CPU; predicted / measured {:.2f}\n",
      run.name, plan.preset, steps, t.total_s() * 1e3, t.cross_node_s * 1e3, t.intra_node_s * 1e3,
      t.compute_s * 1e3, m.layer_s * 1e3, m.exchange_s * 1e3, m.least_wait_s * 1e3,
      m.compute_s * 1e3, t.total_s() / m.layer_s);
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  if (argc != 6) {
    fmt::print(stderr, "usage: predicted_time CLUSTER PLAN TRACE RUN TOKENS_PER_DEVICE\n");
    return 2;
  }
  try {
    gracemoe::compare(argv);
    return 0;
  } catch (const std::exception& error) {
    fmt::print(stderr, "predicted_time: {}\n", error.what());
    return 1;
  }
}
