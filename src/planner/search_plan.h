// The preset grace+: from clusters, budgets and the cost model to the search and back.
#pragma once
#include "planner/planner.h"

namespace gracemoe {

// Fills plan.layers and plan.memory_curve, without a trace predicted times too. `start`: a plan to
// begin with (grace's); where input.from is given, that is where the search begins, and the result
// is input.from's layers unless moving pays off.
void search_plan(const PlannerInput& input, const PlannerOptions& options, const Plan& start,
                 Plan& plan);

// Stores each layer's predicted_time in a plan made from statistics, as on tokens drawn from them;
// time_basis says so. search_plan() does it itself. Cost: drawing 512 tokens.
void note_expected_time(Plan& plan, const PlannerInput& input, const PlannerOptions& options);

// The cost of a unit of max / mean in visits per token: both in seconds by the cost model.
double imbalance_cost(const CostModel& model, int top_k);

// Tokens that select experts as the statistics say, as nearly as one draw after the other allows:
// loads exactly in expectation, pairs as often as their affinity asks for, relative to chance.
// Where there is no affinity, experts are independent. 64 tokens a sequence.
RoutingTrace sample_trace(const RoutingStatistics& statistics, std::int64_t tokens,
                          std::uint64_t seed, int threads);

}  // namespace gracemoe
