#include "plan/contiguous.h"

#include <cstdint>

#include "base/error.h"

namespace gracemoe {

int contiguous_end(int experts, int devices, int device) {
  return static_cast<int>((std::int64_t{device} + 1) * experts / devices);
}

Plan contiguous_plan(const PlanTarget& target) {
  GM_CHECK(target.num_experts > 0 && target.topology.devices() > 0,
           "a contiguous plan needs experts and devices");
  Plan plan;
  plan.preset = "contiguous";
  plan.settings = "contiguous: experts in order, equal shares, no copies";
  plan.model = target.model;
  plan.fingerprint = target.fingerprint;
  plan.num_experts = target.num_experts;
  plan.top_k = target.top_k;
  plan.topology = target.topology;
  LayerPlan layer;
  const int devices = target.topology.devices();
  for (int device = 0; device < devices; ++device) {
    const int end = contiguous_end(target.num_experts, devices, device);
    while (static_cast<int>(layer.experts.size()) < end) layer.experts.push_back({{device, 1.0}});
  }
  plan.layers.assign(static_cast<std::size_t>(target.layers), layer);
  return plan;
}

}  // namespace gracemoe
