// The rows of the comparison ladder (method.md section 6 in code): each is a configuration of the
// one engine, so that what differs between two rows is what their lines say and nothing else.
#pragma once
#include <string>
#include <vector>

#include "exchange/exchange.h"
#include "planner/planner.h"
#include "routing/replica_selector.h"

namespace gracemoe {

struct LadderSpec {
  std::string name;  // without spaces, for the command line too
  PlannerOptions placement;
  RoutingPolicy routing = RoutingPolicy::kPrimary;
  ExchangeKind exchange = ExchangeKind::kHierarchical;
  Overlap overlap = Overlap::kNone;  // kNone: as the command line says
  Packing packing = Packing::kNone;  // likewise
};

// vanilla, dedup, eplb, c2r, occult, occult+hsc, hg+hsc, fr+wrr, dr+wrr, grace, grace+,
// grace+overlap (the same with two micro-batches in flight), grace+packed (that, with dispatched
// rows packed); in this order. Copies: eplb's slots
// and grace+'s budget are 1.25 instances an expert.
std::vector<LadderSpec> all_ladder_rows();

// The rows of a comma-separated list of names, in the list's order; "all" or an empty text: all.
// Error (kUsage): a name that is not known, or twice.
std::vector<LadderSpec> choose_ladder_rows(const std::string& names);

}  // namespace gracemoe
