// What budgets and devices' memory leave to a search.
#pragma once
#include "planner/search_cluster.h"
#include "trace/routing_trace.h"

namespace gracemoe {

// Copies over all layers that budget and memory allow. Error (kInput) where memory does not even
// hold every expert once.
int copies_allowed(const RoutingTrace& trace, const SearchCluster& cluster, double memory_budget);

// Error (kInput) naming a device without memory for as many experts a layer as equal slots need.
void check_equal_slots(const RoutingTrace& trace, const SearchCluster& cluster);

}  // namespace gracemoe
