#include "planner/settings.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/progress.h"
#include "base/quantities.h"

namespace gracemoe {
namespace {

bool by_slots(const PlannerOptions& options) {
  return options.placement == Placement::kEplb || options.placement == Placement::kBalance;
}

// "0.05" or "0.05 to 0.1": of the devices' figures.
template <typename Figure>
std::string range_text(const Cluster& cluster, Figure figure) {
  const auto [low, high] = std::minmax_element(
      cluster.devices.begin(), cluster.devices.end(),
      [&](const DeviceSpec& a, const DeviceSpec& b) { return figure(a) < figure(b); });
  return figure(*low) == figure(*high)
             ? fmt::format("{:.6g}", figure(*low))
             : fmt::format("{:.6g} to {:.6g}", figure(*low), figure(*high));
}

std::string slots_here(const PlannerOptions& options, const PlannerInput& input) {
  const Topology& topology = input.model.cluster.topology;
  const int experts = input.statistics->num_experts;
  std::string text;
  if (options.placement == Placement::kEplb && options.eplb_policy == EplbPolicy::kAuto)
    text = hierarchical_fits(experts, eplb_options(options, topology, experts))
               ? " (hierarchical here)"
               : " (global here)";
  const int each = slots_a_device(experts, topology.devices(), options.memory_budget);
  return text + "; " + counted(each, "slot") + " for every device of a layer";
}

std::string limits_here(const PlannerInput& input) {
  const Cluster& cluster = input.model.cluster;
  const auto any = [&](auto condition) {
    return std::any_of(cluster.devices.begin(), cluster.devices.end(), condition);
  };
  std::string text;
  if (any([](const DeviceSpec& d) { return d.memory_bytes > 0; }))
    text += "; devices of " +
            range_text(cluster, [](const DeviceSpec& d) { return d.memory_bytes * 1e-9; }) +
            " GB for experts of " + human_bytes(input.model.workload.expert_bytes);
  if (!cluster.same_speeds())
    text += "; work counted over device speeds of " +
            range_text(cluster, [](const DeviceSpec& d) { return d.speed; });
  if (input.from != nullptr)
    text += fmt::format("; from a plan of preset {}, to serve {:.15g} steps", input.from->preset,
                        input.steps);
  return text;
}

}  // namespace

int slots_a_device(int experts, int devices, double budget) {
  const double wanted = std::min<double>(experts, std::floor(budget * experts / devices + 1e-9));
  return std::clamp(static_cast<int>(wanted), (experts + devices - 1) / devices, experts);
}

EplbOptions eplb_options(const PlannerOptions& options, const Topology& topology, int experts) {
  EplbOptions eplb;
  eplb.devices = topology.devices();
  eplb.nodes = topology.uniform() ? topology.nodes() : 1;
  eplb.slots = eplb.devices * slots_a_device(experts, eplb.devices, options.memory_budget);
  eplb.groups = topology.uniform() ? options.expert_groups : 0;
  eplb.policy = options.eplb_policy;
  return eplb;
}

double balanced_step_tokens(const PlannerOptions& options, const CostModel& model) {
  const double tokens = model.workload.tokens_per_device * model.cluster.topology.devices();
  return options.balance_experts ? tokens : 0;
}

std::string describe(const PlannerOptions& options, const PlannerInput& input) {
  const std::string text = describe(options);
  if (by_slots(options)) return text + slots_here(options, input);
  return options.placement == Placement::kSearch ? text + limits_here(input) : text;
}

std::string budget_note(const PlannerOptions& options, const PlannerInput& input) {
  if (!by_slots(options) && options.placement != Placement::kSearch) return "";
  const int devices = input.model.cluster.topology.devices();
  const int experts = input.statistics->num_experts;
  const double budget = options.memory_budget;
  if (budget > devices + 1e-9)
    return fmt::format("memory budget {:.6g}: more than every expert on every device, taken as {}",
                       budget, devices);
  if (!by_slots(options)) return "";
  const int each = slots_a_device(experts, devices, budget);
  const double used = static_cast<double>(each) * devices / experts;
  if (std::abs(used - budget) < 1e-6) return "";
  return fmt::format(
      "memory budget {:.6g} of {} on {} is {:.6g}: {} on every device of a layer, the next "
      "number takes a budget of {:.6g}",
      budget, counted(experts, "expert"), counted(devices, "device"), used, counted(each, "slot"),
      std::ceil(1e6 * (each + 1.0) * devices / experts) * 1e-6);
}

void check_memory(const Plan& plan, const Cluster& cluster, double expert_bytes) {
  const std::vector<int> held = plan.instances_held();
  for (std::size_t d = 0; d < held.size(); ++d) {
    const double memory = cluster.devices[d].memory_bytes;
    if (memory > 0 && held[d] * expert_bytes > memory)
      fail_input(
          {"preset " + plan.preset + ": device " + std::to_string(d),
           counted(held[d], "expert") + " over all layers, " + human_bytes(held[d] * expert_bytes),
           "at most " + human_bytes(memory) + ", its memory in the cluster file",
           plan.preset == "grace+" ? "more memory, or a trace to search on"
                                   : "the preset grace+ keeps to memory; to compare placements "
                                     "alone, leave memory_gb out"});
  }
}

}  // namespace gracemoe
