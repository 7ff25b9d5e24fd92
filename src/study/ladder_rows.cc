#include "study/ladder_rows.h"

#include <algorithm>
#include <sstream>

#include "base/error.h"

namespace gracemoe {
namespace {

PlannerOptions grouped(Replication replication) {
  PlannerOptions options = preset_grace();
  options.replication = replication;
  return options;
}

std::string names_of(const std::vector<LadderSpec>& rows) {
  std::string names;
  for (const LadderSpec& row : rows) names += (names.empty() ? "" : ", ") + row.name;
  return names;
}

}  // namespace

std::vector<LadderSpec> all_ladder_rows() {
  using enum RoutingPolicy;
  using enum ExchangeKind;
  return {
      {"vanilla", preset_contiguous(), kPrimary, kFlatPerExpert},
      {"dedup", preset_contiguous(), kPrimary, kFlatPerDevice},
      {"eplb", preset_eplb(), kWeightedRoundRobin, kFlatPerExpert},
      {"c2r", preset_c2r(), kPrimary, kFlatPerDevice},
      {"occult", preset_occult(), kPrimary, kFlatPerDevice},
      {"occult+hsc", preset_occult(), kPrimary, kHierarchical},
      {"hg+hsc", grouped(Replication::kNone), kPrimary, kHierarchical},
      {"fr+wrr", grouped(Replication::kFixed), kWeightedRoundRobin, kHierarchical},
      {"dr+wrr", grouped(Replication::kDynamic), kWeightedRoundRobin, kHierarchical},
      {"grace", grouped(Replication::kDynamic), kTopologyAware, kHierarchical},
      {"grace+", preset_grace_plus(), kTopologyAware, kHierarchical},
      {"grace+overlap", preset_grace_plus(), kTopologyAware, kHierarchical, Overlap::kAuto},
      {"grace+packed", preset_grace_plus(), kTopologyAware, kHierarchical, Overlap::kAuto,
       Packing::kAll},
  };
}

std::vector<LadderSpec> choose_ladder_rows(const std::string& names) {
  std::vector<LadderSpec> all = all_ladder_rows();
  if (names.empty() || names == "all") return all;
  std::vector<LadderSpec> chosen;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto is_it = [&](const LadderSpec& row) { return row.name == name; };
    const auto row = std::find_if(all.begin(), all.end(), is_it);
    if (row == all.end())
      fail_usage({"row of the ladder", "'" + name + "'", "some of " + names_of(all), ""});
    if (std::any_of(chosen.begin(), chosen.end(), is_it))
      fail_usage({"row of the ladder", "'" + name + "' twice", "each row once", ""});
    chosen.push_back(*row);
  }
  return chosen;
}

}  // namespace gracemoe
