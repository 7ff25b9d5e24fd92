// Every preset where there is little or nothing to plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "planner/evaluate.h"
#include "planner/planner.h"
#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

std::vector<PlannerOptions> every_preset() {
  std::vector<PlannerOptions> all{preset_contiguous(), preset_eplb(),  preset_c2r(),
                                  preset_occult(),     preset_grace(), preset_balance(),
                                  preset_grace_plus()};
  for (PlannerOptions& options : all) options.effort = 0.0005;
  return all;
}

int slots(const Plan& plan, double budget) {
  const int devices = plan.topology.devices();
  const int each = std::max((plan.num_experts + devices - 1) / devices,
                            static_cast<int>(budget * plan.num_experts / devices + 1e-9));
  return devices * std::min(each, plan.num_experts);
}

// Every expert somewhere and none twice on a device; copies within the budget; a token visits no
// node whose experts its own node holds; computations are neither lost nor made; the file says it
// all.
void expect_sound(const Plan& plan, const RoutingTrace& trace, const PlannerOptions& options) {
  SCOPED_TRACE(options.preset + " on " + plan.topology.to_string());
  validate(plan, options.preset);
  EXPECT_EQ(parse_plan(plan_text(plan), "plan"), plan);
  if (options.preset == "grace+") {
    EXPECT_LE(plan.copies(), (options.memory_budget - 1) * plan.num_experts *
                                     static_cast<double>(plan.layers.size()) +
                                 1e-9);
  }
  if (options.preset == "eplb" || options.preset == "balance") {
    EXPECT_LE(plan.num_experts + plan.copies() / static_cast<int>(plan.layers.size()),
              slots(plan, options.memory_budget));
  }
  const PlanMetrics metrics = evaluate(plan, trace, RoutingPolicy::kTopologyAware, 1);
  for (std::size_t l = 0; l < plan.layers.size(); ++l) {
    const auto& load = metrics.layers[l].load;
    EXPECT_EQ(std::accumulate(load.begin(), load.end(), std::int64_t{0}),
              trace.tokens() * trace.top_k);
    const auto& predicted = plan.layers[l].predicted_load;
    if (trace.tokens() > 0 && !predicted.empty()) {
      EXPECT_NEAR(std::accumulate(predicted.begin(), predicted.end(), 0.0), 1, 1e-9);
    }
  }
  const auto tar = make_selector(RoutingPolicy::kTopologyAware, plan);
  for (int e = 0; e < plan.num_experts; ++e)
    for (int home = 0; home < plan.topology.devices(); ++home) {
      const int node = plan.topology.node_of(home);
      const auto& instances = plan.layers[0].experts[at(e)];
      const bool near = std::any_of(instances.begin(), instances.end(), [&](const Instance& i) {
        return plan.topology.node_of(i.device) == node;
      });
      const int chosen = tar->device_for(0, e, home, static_cast<std::uint64_t>(7 * e + home));
      if (near) {
        EXPECT_EQ(plan.topology.node_of(chosen), node);
      }
    }
}

void expect_every_preset(const RoutingTrace& trace, const char* shape) {
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerInput input;
  input.statistics = &statistics;
  input.trace = &trace;
  input.model = make_cost_model(Cluster::uniform(Topology::parse(shape)), {}, 512);
  for (const PlannerOptions& options : every_preset())
    expect_sound(make_plan(input, options), trace, options);
}

TEST(EveryPreset, ClustersOfEveryShape) {
  const RoutingTrace trace = random_trace(1, 80, 6, 2, 2);
  for (const char* shape : {"1x1", "1x4", "4x1", "2x3", "3,1", "1x9", "3x3"})
    expect_every_preset(trace, shape);
}

TEST(EveryPreset, RandomTraces) {
  for (std::uint64_t seed = 0; seed < 8; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const std::string shape = random_topology(random).to_string();
    const int experts = 4 + random.below(20);
    expect_every_preset(random_trace(seed, 60 + random.below(200), experts, 3, 2), shape.c_str());
  }
}

TEST(EveryPreset, AnExpertNeverUsed) {
  RoutingTrace trace = random_trace(1, 100, 6, 2, 2);
  trace.num_experts = 9;
  for (const char* shape : {"1x2", "2x2", "2x1"}) expect_every_preset(trace, shape);
}

TEST(EveryPreset, AllTokensOnOneExpert) {
  RoutingTrace trace = random_trace(1, 100, 6, 1, 2);
  std::fill(trace.experts.begin(), trace.experts.end(), std::uint16_t{4});
  for (const char* shape : {"1x2", "2x2", "3x1"}) expect_every_preset(trace, shape);
}

TEST(EveryPreset, AnEmptyTrace) {
  RoutingTrace trace = random_trace(1, 10, 8, 2, 2);
  trace.sequence.clear();
  trace.experts.clear();
  for (const char* shape : {"1x1", "2x2", "3,1"}) expect_every_preset(trace, shape);
}

TEST(EveryPreset, DisconnectedAffinity) {
  Random random(2);
  const RoutingTrace trace = planted_trace(random, 120, 5, 2, 2);
  for (const char* shape : {"1x2", "2x2", "3x1"}) expect_every_preset(trace, shape);
}

}  // namespace
}  // namespace gracemoe
