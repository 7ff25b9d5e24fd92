// Which instance of a chosen expert serves a token (method.md section 4). Pure functions of (layer,
// expert, home, token key): the same answer on every rank, for any batch order and any number of
// threads. Selectors hold no mutable state: any number of threads may use one.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "plan/plan.h"

namespace gracemoe {

enum class RoutingPolicy { kPrimary, kWeightedRoundRobin, kTopologyAware };
// "primary", "wrr", "tar"; Error (kUsage) on others.
RoutingPolicy parse_routing_policy(const std::string& text);
const char* to_string(RoutingPolicy policy);

// What identifies a token for the counter-based draw: a hash of its request (or sequence) number
// and its position.
std::uint64_t token_key(std::uint64_t request, std::uint64_t position);

class ReplicaSelector {
 public:
  virtual ~ReplicaSelector() = default;
  // The device whose instance of `expert` serves the token with key `token` and home device `home`.
  // Arguments must be in the plan's range; they are not checked here, in the hot loop.
  virtual int device_for(int layer, int expert, int home, std::uint64_t token) const = 0;
};

// primary: the first instance. wrr: drawn in proportion to the polling weights (counter-based hash
// of token, layer, expert). tar: an instance on `home` if there is one; else WRR among those on
// home's node; else WRR among all. The plan must be valid; the selector keeps no reference to it.
std::unique_ptr<ReplicaSelector> make_selector(RoutingPolicy policy, const Plan& plan);

}  // namespace gracemoe
