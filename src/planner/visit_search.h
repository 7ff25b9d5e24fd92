// Search over a VisitState with a fixed number of copies: simulated annealing by moves, exchanges
// and copies that change hands. Deterministic for the seed.
#pragma once
#include <cstdint>

#include "planner/visit_state.h"

namespace gracemoe {

struct Annealing {
  std::int64_t proposals = 20'000;
  // Temperatures at the start and the end, as parts of the share of tokens that an average expert
  // serves (top_k / experts): steps that cost more are rarely taken.
  double hot = 0.08, cold = 0.0008;
};

// The number of copies, and max_experts, stay as they are or within bounds. Never ends at a higher
// cost than it began with.
void anneal(VisitState& state, const Annealing& how, std::uint64_t seed);

// Adds the copy that lowers the cost most (or raises it least), until there are `copies` of them or
// nothing fits. Cost: experts * places deltas a copy.
void add_copies(VisitState& state, int copies);

// The copy whose removal costs least; expert -1 if there are none.
Change cheapest_removal(const VisitState& state);
// The copy whose addition brings most; expert -1 if nothing fits.
Change best_addition(const VisitState& state);

}  // namespace gracemoe
