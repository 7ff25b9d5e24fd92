// With more than two nodes a token may be served by one copy or another, none of them at its home:
// what a plan predicts of that must be what routing does.
#include <gtest/gtest.h>

#include <cmath>

#include "planner/evaluate.h"
#include "planner/planner.h"
#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

// Experts that are used the more often the lower their number, in pairs that like each other.
RoutingTrace skewed_trace(std::int64_t tokens, int experts) {
  RoutingTrace trace = random_trace(11, static_cast<int>(tokens), experts, 2, 2, 20);
  Random random(12);
  for (std::size_t i = 0; i < trace.experts.size(); i += 2) {
    const double u = random_unit(random);
    const int first = static_cast<int>(u * u * experts);
    trace.experts[i] = static_cast<std::uint16_t>(first);
    trace.experts[i + 1] = static_cast<std::uint16_t>((first + 1 + random.below(3)) % experts);
  }
  return trace;
}

// Topology-aware routing replayed, every token at every home: loads are those that were predicted,
// and even.
TEST(ManyNodes, LoadsUnderRealChoicesAreThosePredicted) {
  const RoutingTrace trace = skewed_trace(1500, 24);
  const RoutingStatistics statistics = count_statistics(trace);
  for (const char* shape : {"2x2", "3x1", "3x2", "4x1", "4x2"}) {
    SCOPED_TRACE(shape);
    const Topology topology = Topology::parse(shape);
    PlannerInput input;
    input.statistics = &statistics;
    input.trace = &trace;
    input.model = make_cost_model(Cluster::uniform(topology), {}, 512);
    PlannerOptions options = preset_grace_plus();
    options.memory_budget = 1.5;
    options.effort = 0.01;
    options.quiet = true;
    const Plan plan = make_plan(input, options);
    EXPECT_GE(plan.copies(), 20);  // so that there is something to choose
    const PlanMetrics metrics =
        evaluate(plan, at_every_home(trace, topology.devices()), RoutingPolicy::kTopologyAware, 1);
    for (std::size_t l = 0; l < plan.layers.size(); ++l) {
      const auto& load = metrics.layers[l].load;
      const double all = static_cast<double>(trace.tokens()) * trace.top_k * topology.devices();
      for (std::size_t d = 0; d < load.size(); ++d)
        EXPECT_NEAR(static_cast<double>(load[d]) / all, plan.layers[l].predicted_load[d],
                    0.02 / topology.devices());
    }
    EXPECT_LE(metrics.total.load_max_over_mean, 1.11);
  }
}

}  // namespace
}  // namespace gracemoe
