// Plans and traces whose figures can be worked out on paper.
#pragma once
#include "plan/contiguous.h"
#include "trace/routing_trace.h"

namespace gracemoe {

// Four experts on 2x1. Plan 0 keeps 0, 1 and 2, 3 together, plan 1 keeps 0, 2 and 1, 3.
inline Plan pair_plan(int which) {
  Plan plan = contiguous_plan({"tiny", "", 4, 2, 1, Topology::grid(2, 1)});
  if (which == 1) {
    plan.layers[0].experts[1][0].device = 1;
    plan.layers[0].experts[2][0].device = 0;
  }
  return plan;
}

// Two sequences (homes 0 and 1) of two tokens each, which choose the two pairs of that plan: under
// it one token of a sequence stays at home and one goes; under the other plan all visit both nodes.
inline RoutingTrace pair_trace(int which) {
  RoutingTrace trace;
  trace.model = "tiny";
  trace.phase = "prefill";
  trace.num_experts = 4;
  trace.top_k = 2;
  trace.layers = 1;
  trace.sequence = {0, 0, 1, 1};
  if (which == 0)
    trace.experts = {0, 1, 2, 3, 0, 1, 2, 3};
  else
    trace.experts = {0, 2, 1, 3, 0, 2, 1, 3};
  return trace;
}

}  // namespace gracemoe
