#include "routing/replica_selector.h"

#include "base/error.h"
#include "base/hash.h"
#include "routing/policies.h"

namespace gracemoe {

RoutingPolicy parse_routing_policy(const std::string& text) {
  for (const RoutingPolicy policy :
       {RoutingPolicy::kPrimary, RoutingPolicy::kWeightedRoundRobin, RoutingPolicy::kTopologyAware})
    if (text == to_string(policy)) return policy;
  fail_usage({"routing policy", "'" + text + "'", "primary, wrr or tar", ""});
}

const char* to_string(RoutingPolicy policy) {
  switch (policy) {
    case RoutingPolicy::kPrimary:
      return "primary";
    case RoutingPolicy::kWeightedRoundRobin:
      return "wrr";
    case RoutingPolicy::kTopologyAware:
      return "tar";
  }
  return "?";
}

std::uint64_t token_key(std::uint64_t request, std::uint64_t position) {
  return hash_combine(hash_combine(0, request), position);
}

std::unique_ptr<ReplicaSelector> make_selector(RoutingPolicy policy, const Plan& plan) {
  switch (policy) {
    case RoutingPolicy::kPrimary:
      return make_primary_selector(plan);
    case RoutingPolicy::kWeightedRoundRobin:
      return make_weighted_round_robin_selector(plan);
    case RoutingPolicy::kTopologyAware:
      return make_topology_aware_selector(plan);
  }
  contract_broken("unknown routing policy", __FILE__, __LINE__);
}

}  // namespace gracemoe
