#include "report/plan_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "base/error.h"

namespace gracemoe {
namespace {

std::vector<int> devices_of(const std::vector<Instance>& instances) {
  std::vector<int> devices;
  devices.reserve(instances.size());
  for (const auto& instance : instances) devices.push_back(instance.device);
  std::sort(devices.begin(), devices.end());
  return devices;
}

std::vector<int> without(const std::vector<int>& from, const std::vector<int>& what) {
  std::vector<int> rest;
  std::set_difference(from.begin(), from.end(), what.begin(), what.end(), std::back_inserter(rest));
  return rest;
}

LayerDiff compare_layers(const LayerPlan& before, const LayerPlan& after,
                         const Topology& topology) {
  LayerDiff diff;
  for (std::size_t e = 0; e < before.experts.size(); ++e) {
    const auto old_devices = devices_of(before.experts[e]);
    const auto new_devices = devices_of(after.experts[e]);
    ExpertChange change{static_cast<int>(e), without(old_devices, new_devices),
                        without(new_devices, old_devices)};
    diff.kept += static_cast<int>(old_devices.size() - change.only_before.size());
    const int went = static_cast<int>(change.only_before.size());
    const int came = static_cast<int>(change.only_after.size());
    diff.moved += std::min(went, came);
    diff.added += std::max(0, came - went);
    diff.dropped += std::max(0, went - came);
    for (const int device : change.only_after) {
      const int node = topology.node_of(device);
      diff.new_on_node += std::none_of(old_devices.begin(), old_devices.end(),
                                       [&](int d) { return topology.node_of(d) == node; })
                              ? 1
                              : 0;
    }
    if (went + came > 0) diff.changes.push_back(std::move(change));
  }
  return diff;
}

std::string shape(const Plan& plan) {
  return fmt::format("{} layers of {} experts on {}", plan.layers.size(), plan.num_experts,
                     plan.topology.to_string());
}

}  // namespace

std::vector<LayerDiff> compare_plans(const Plan& before, const Plan& after) {
  if (shape(before) != shape(after))
    fail_input({"plan to compare", shape(after), shape(before) + ", as the other plan has",
                "compare plans of one model for one cluster"});
  std::vector<LayerDiff> layers;
  for (std::size_t l = 0; l < before.layers.size(); ++l)
    layers.push_back(compare_layers(before.layers[l], after.layers[l], before.topology));
  return layers;
}

LayerDiff total_of(std::span<const LayerDiff> layers) {
  LayerDiff total;
  for (const auto& layer : layers) {
    total.changes.insert(total.changes.end(), layer.changes.begin(), layer.changes.end());
    total.kept += layer.kept;
    total.moved += layer.moved;
    total.added += layer.added;
    total.dropped += layer.dropped;
    total.new_on_node += layer.new_on_node;
  }
  return total;
}

}  // namespace gracemoe
