// What a preset's options come down to for one input: slots, policy, limits.
#pragma once
#include <string>

#include "planner/planner.h"

namespace gracemoe {

// For kEplb and kBalance: the same number on every device, enough for every expert, none holding
// one twice.
int slots_a_device(int experts, int devices, double budget);
EplbOptions eplb_options(const PlannerOptions& options, const Topology& topology, int experts);

// Tokens of a step where the experts that one uses are to be balanced; 0: tokens are.
double balanced_step_tokens(const PlannerOptions& options, const CostModel& model);

// describe(options) and what it means here: the slots of eplb and balance and the policy that auto
// is, the devices that a search must keep to, the plan that it starts from. As stored in
// Plan::settings.
std::string describe(const PlannerOptions& options, const PlannerInput& input);

// A line for people where the memory budget cannot be met as given: rounded down to whole slots, or
// more than every expert on every device. "" else.
std::string budget_note(const PlannerOptions& options, const PlannerInput& input);

// Error (kInput) naming the device that its instances do not fit, `expert_bytes` each; devices
// without a memory_bytes hold anything.
void check_memory(const Plan& plan, const Cluster& cluster, double expert_bytes);

}  // namespace gracemoe
