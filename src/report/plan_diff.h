// What differs between two plans of one shape for one cluster, device labels taken as they are: two
// plans that only number equal devices differently differ.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "plan/plan.h"

namespace gracemoe {

// One expert whose instances differ. Devices ascending.
struct ExpertChange {
  int expert = 0;
  std::vector<int> only_before, only_after;
};

struct LayerDiff {
  std::vector<ExpertChange> changes;  // ascending experts; empty: the layers hold the same
  int kept = 0;                       // instances that both hold
  // Of each expert, instances that went pair with instances that came: these moved; what is left
  // was added or dropped.
  int moved = 0, added = 0, dropped = 0;
  // Instances that came to a node where the expert had none: their weights must cross between
  // nodes.
  int new_on_node = 0;
};

// Error (kInput) if experts, layers or cluster differ. [layers]
std::vector<LayerDiff> compare_plans(const Plan& before, const Plan& after);
// Sums over layers; changes of all layers in one list.
LayerDiff total_of(std::span<const LayerDiff> layers);

// Cards for `before` against each of `after`: counts, a picture of every layer (experts x devices)
// and, folded, the counts and changed experts of every layer. A page keeps below about 1 MB for it:
// layers beyond are counted, not drawn.
std::string plan_diff_figures(const Plan& before, const std::string& before_name,
                              std::span<const Plan> after,
                              std::span<const std::string> after_names);

}  // namespace gracemoe
