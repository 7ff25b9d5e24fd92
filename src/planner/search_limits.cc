#include "planner/search_limits.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"
#include "base/quantities.h"

namespace gracemoe {

int copies_allowed(const RoutingTrace& trace, const SearchCluster& cluster, double memory_budget) {
  const double each = static_cast<double>(trace.num_experts) * trace.layers;
  double room = 0;
  for (const double limit : cluster.max_copies) room += std::floor(limit);
  if (room < each)
    fail_input({"memory of the devices", std::to_string(std::llround(room)) + " experts in all",
                "at least " + std::to_string(std::llround(each)) + ", one of each",
                "more devices, or more memory"});
  const double everywhere = each * (cluster.topology.devices() - 1);
  return static_cast<int>(
      std::min({std::floor((memory_budget - 1) * each + 1e-9), room - each, everywhere}));
}

void check_equal_slots(const RoutingTrace& trace, const SearchCluster& cluster) {
  const int devices = cluster.topology.devices();
  const int each = (trace.num_experts + devices - 1) / devices;
  for (std::size_t d = 0; d < cluster.max_copies.size() && cluster.must_fit; ++d)
    if (std::floor(cluster.max_copies[d]) < static_cast<double>(each) * trace.layers)
      fail_input({"same slots on every device: memory of device " + std::to_string(d),
                  "room for " + std::to_string(std::llround(std::floor(cluster.max_copies[d]))) +
                      " experts in all",
                  std::to_string(each) + " in each of " + counted(trace.layers, "layer"),
                  "more memory, more devices, or leave --same-slots out"});
}

}  // namespace gracemoe
