// What re-planning moves, for terminals: its cost against its gain, then every expert that moves.
#pragma once
#include <string>

#include "planner/cost_model.h"
#include "trace/routing_trace.h"

namespace gracemoe {

// What is sent and how long that takes, what it saves over `steps` on the trace (without tokens:
// unknown), and one line a layer: "layer 3: expert 12 0>2, expert 40 +3, expert 41 -1". Where the
// two hold the same: that the old plan is kept. Error (kInput) if the plans' shapes differ.
std::string moves_text(const Plan& from, const Plan& plan, const RoutingTrace& trace,
                       const CostModel& model, double steps);

}  // namespace gracemoe
