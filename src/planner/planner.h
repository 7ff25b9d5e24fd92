// From routing statistics to a plan. A preset is a function that returns a full configuration;
// nothing is decided by a default that is not printed.
#pragma once
#include <cstdint>
#include <string>

#include "plan/plan.h"
#include "planner/cost_model.h"
#include "planner/eplb.h"
#include "planner/grace_plus.h"
#include "planner/hierarchical.h"
#include "planner/replication.h"
#include "topology/topology.h"
#include "trace/statistics.h"

namespace gracemoe {

enum class Placement {
  kContiguous,    // in order, equal shares
  kEplb,          // by load, with redundant slots
  kC2r,           // equal shares, lists of collaborators
  kOccult,        // equal shares, greedy by co-activation
  kHierarchical,  // spectral groups: nodes, then devices
  kBalance,       // by load, counts and places chosen together
  kSearch,        // direct search on the trace
};

struct PlannerOptions {
  std::string preset;
  Placement placement = Placement::kHierarchical;
  RatioPolicy ratio_policy = RatioPolicy::kKnee;  // for kHierarchical
  double ratio = 0;                               // for RatioPolicy::kFixed
  Replication replication = Replication::kDynamic;
  int kmeans_restarts = 10;
  std::uint64_t seed = 0;
  int threads =
      0;  // layers are planned side by side; 0: one a hardware thread; no influence on the plan

  // Instances per expert: for kEplb and kBalance the slots of every layer, rounded down to the same
  // number on every device (but no less than hold every expert once), for kSearch the budget of all
  // layers together.
  double memory_budget = 1.25;
  EplbPolicy eplb_policy = EplbPolicy::kAuto;
  int expert_groups = 0;  // of group-limited routing, for kEplb and kBalance; 0: none

  // For kSearch; as GracePlusOptions.
  double balance_bound = 1.10;
  bool balance_experts = false;  // balance the experts a step uses instead of its tokens
  bool same_slots = false;
  double effort = 1;
  double time_limit_s = 0;  // 0: none
  bool quiet = true;        // no progress bar
};

PlannerOptions preset_contiguous();
PlannerOptions preset_eplb();
PlannerOptions preset_c2r();
PlannerOptions preset_occult();
PlannerOptions preset_grace();
PlannerOptions preset_balance();
PlannerOptions preset_grace_plus();
// "contiguous", "eplb", "c2r", "occult", "grace", "balance", "grace+"; Error (kUsage) lists them.
PlannerOptions preset_by_name(const std::string& name);

// "uniform", "knee", "free" or a number in (0, 1]: sets policy and ratio. Error (kUsage) on others.
void set_ratio(PlannerOptions& options, const std::string& text);
// "none", "fixed", "dynamic". Error (kUsage) on others.
Replication parse_replication(const std::string& text);
const char* to_string(Replication replication);
// "auto", "hierarchical", "global". Error (kUsage) on others.
EplbPolicy parse_eplb_policy(const std::string& text);

// One line with every choice that shapes the plan, whatever the input (settings.h: with it).
std::string describe(const PlannerOptions& options);

struct PlannerInput {
  const RoutingStatistics* statistics = nullptr;
  // For kSearch; null: it searches on tokens sampled from the statistics.
  const RoutingTrace* trace = nullptr;
  CostModel model;  // its cluster is planned for; only kSearch looks further than at the topology
  // For kSearch: a plan of the same shape and topology to start from, and for how many steps the
  // new one will serve, which moving an expert's weights must pay off in.
  const Plan* from = nullptr;
  double steps = 0;
};

// The plan takes model, fingerprint and shapes from the statistics. Deterministic for the options'
// seed (and without a time limit). Statistics without a single token give groups in order without
// replicas. Errors: kInput where the preset needs an affinity that is unknown, or the devices'
// memory does not suffice; kUsage where experts x devices exceeds 2^27, or groups of experts are to
// stay on nodes of unequal size.
// Cost: layers * experts^3 for kHierarchical; 48 layers of 128 experts take about half a second on
// one core. kSearch: docs/planner.md.
Plan make_plan(const PlannerInput& input, const PlannerOptions& options);
// For a uniform cluster of this topology, without a trace.
Plan make_plan(const RoutingStatistics& statistics, const Topology& topology,
               const PlannerOptions& options);

}  // namespace gracemoe
