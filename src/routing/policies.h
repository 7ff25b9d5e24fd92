// The makers of the selectors, one file each; callers use make_selector().
#pragma once
#include <memory>

#include "routing/replica_selector.h"

namespace gracemoe {

std::unique_ptr<ReplicaSelector> make_primary_selector(const Plan& plan);
std::unique_ptr<ReplicaSelector> make_weighted_round_robin_selector(const Plan& plan);
std::unique_ptr<ReplicaSelector> make_topology_aware_selector(const Plan& plan);

}  // namespace gracemoe
