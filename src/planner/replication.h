// Replicas of hot experts and their polling weights (method.md section 3).
#pragma once
#include <span>
#include <vector>

#include "plan/plan.h"
#include "planner/affinity.h"

namespace gracemoe {

enum class Replication {
  kNone,
  kFixed,    // the hot experts, one replica each, on the least loaded device
  kDynamic,  // the hot experts, n_replica replicas each, on the least loaded devices
};

// What replication decides from the loads of the primaries.
struct ReplicaChoice {
  double skew = 1;           // rho = W_max / W_mean; 1 where nothing was loaded
  int replicas = 0;          // n_replica; 0 with a single device
  int hottest = 0;           // device h with the largest load (the first of several)
  std::vector<int> hot;      // hot experts of h in falling order of load
  std::vector<int> targets;  // the devices with the least load, h left out, least first
};

// device_groups [devices]: primary experts; load [experts].
ReplicaChoice choose_replicas(const Groups& device_groups, std::span<const double> load,
                              Replication kind);

// The layer with its primaries, replicas, polling weights (1 / W', scaled to sum 1 an expert) and
// predicted load.
LayerPlan replicated_layer(const Groups& device_groups, std::span<const double> load,
                           Replication kind);

}  // namespace gracemoe
