#include "routing/instance_table.h"

#include <algorithm>

namespace gracemoe {

InstanceTable::InstanceTable(const Plan& plan, bool per_node)
    : experts_(static_cast<std::size_t>(plan.num_experts)),
      ranges_per_expert_(per_node ? static_cast<std::size_t>(plan.topology.nodes()) + 1 : 1) {
  std::int32_t groups = 0;
  std::vector<Instance> here;
  for (const LayerPlan& layer : plan.layers) {
    for (const std::vector<Instance>& instances : layer.experts) {
      primary_.push_back(instances.front().device);
      group_.push_back(instances.size() > 1 ? groups++ : -1);
      if (instances.size() == 1) continue;
      add_range(instances);
      for (int node = 0; per_node && node < plan.topology.nodes(); ++node) {
        here.clear();
        std::copy_if(instances.begin(), instances.end(), std::back_inserter(here),
                     [&](const Instance& i) { return plan.topology.node_of(i.device) == node; });
        add_range(here);
      }
    }
  }
}

// Weights are divided by the largest first, so that their sum cannot overflow.
void InstanceTable::add_range(const std::vector<Instance>& instances) {
  double largest = 0;
  for (const Instance& i : instances) largest = std::max(largest, i.weight);
  double total = 0;
  for (const Instance& i : instances) total += i.weight / largest;
  double sum = 0;
  for (const Instance& i : instances) {
    sum += i.weight / largest;
    device_.push_back(i.device);
    cumulative_.push_back(sum / total);
  }
  begin_.push_back(device_.size());
}

}  // namespace gracemoe
