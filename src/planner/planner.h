// From routing statistics to a plan. A preset is a function that returns a full configuration;
// nothing is decided by a default that is not printed.
#pragma once
#include <cstdint>
#include <string>

#include "plan/plan.h"
#include "planner/hierarchical.h"
#include "planner/replication.h"
#include "topology/topology.h"
#include "trace/statistics.h"

namespace gracemoe {

enum class Placement {
  kContiguous,    // in order, equal shares
  kOccult,        // equal shares, greedy by co-activation
  kHierarchical,  // spectral groups: nodes, then devices
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
};

PlannerOptions preset_contiguous();
PlannerOptions preset_occult();
PlannerOptions preset_grace();
// "contiguous", "occult", "grace"; Error (kUsage) lists them.
PlannerOptions preset_by_name(const std::string& name);

// "uniform", "knee", "free" or a number in (0, 1]: sets policy and ratio. Error (kUsage) on others.
void set_ratio(PlannerOptions& options, const std::string& text);
// "none", "fixed", "dynamic". Error (kUsage) on others.
Replication parse_replication(const std::string& text);
const char* to_string(Replication replication);

// One line with every choice that shapes the plan, as stored in Plan::settings.
std::string describe(const PlannerOptions& options);

// The plan takes model, fingerprint and shapes from the statistics. Deterministic for the options'
// seed. Statistics without a single token give groups in order without replicas. Errors: kInput
// where the preset needs an affinity that is unknown; kUsage where experts x devices exceeds 2^27.
// Cost: layers * experts^3 for kHierarchical; 48 layers of 128 experts take about half a second on
// one core.
Plan make_plan(const RoutingStatistics& statistics, const Topology& topology,
               const PlannerOptions& options);

}  // namespace gracemoe
