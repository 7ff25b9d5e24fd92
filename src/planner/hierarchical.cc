#include "planner/hierarchical.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "planner/grouping.h"

namespace gracemoe {
namespace {

// Groups that are split from one parent: the layer into nodes, or a node into devices.
struct Split {
  Groups start;                 // as clustered
  std::vector<double> targets;  // [groups] mean sizes
  std::vector<int> minimum;     // [groups], or empty
};

Groups concatenated(std::vector<Groups> parts) {
  Groups all;
  for (Groups& part : parts) std::move(part.begin(), part.end(), std::back_inserter(all));
  return all;
}

Groups controlled(const Affinity& affinity, const std::vector<Split>& splits, double ratio) {
  std::vector<Groups> parts;
  for (const Split& split : splits)
    parts.push_back(
        controlled_groups(affinity, split.start, size_bounds(split.targets, ratio, split.minimum)));
  return concatenated(std::move(parts));
}

double size_deviation(const Groups& groups, const std::vector<Split>& splits) {
  double sum = 0;
  std::size_t g = 0;
  for (const Split& split : splits)
    for (const double target : split.targets) {
      const double off = static_cast<double>(groups[g++].size()) - target;
      sum += off * off;
    }
  return std::sqrt(sum / static_cast<double>(g));
}

struct Chosen {
  Groups groups;
  double ratio = 0;
  std::vector<RatioPoint> curve;
};

Chosen at_knee(const Affinity& affinity, const std::vector<Split>& splits) {
  const double total = affinity_total(affinity);
  Chosen chosen;
  std::vector<Groups> groups;
  for (const double ratio : candidate_ratios()) {
    groups.push_back(controlled(affinity, splits, ratio));
    const double inside = affinity_inside(affinity, groups.back());
    chosen.curve.push_back(
        {ratio, size_deviation(groups.back(), splits), total > 0 ? inside / total : 0});
  }
  const std::size_t best = knee(chosen.curve);
  chosen.ratio = chosen.curve[best].ratio;
  chosen.groups = std::move(groups[best]);
  return chosen;
}

Chosen choose(const Affinity& affinity, const std::vector<Split>& splits,
              const HierarchicalOptions& options) {
  switch (options.policy) {
    case RatioPolicy::kUniform:
      return {controlled(affinity, splits, 0), 0, {}};
    case RatioPolicy::kFixed:
      return {controlled(affinity, splits, options.ratio), options.ratio, {}};
    case RatioPolicy::kKnee:
      return at_knee(affinity, splits);
    case RatioPolicy::kFree: {
      std::vector<Groups> parts;
      parts.reserve(splits.size());
      for (const Split& split : splits) parts.push_back(split.start);
      return {concatenated(std::move(parts)), -1, {}};
    }
  }
  contract_broken("unknown ratio policy", __FILE__, __LINE__);
}

// Larger groups to nodes with more devices; the order of groups is kept among equal nodes of a
// uniform topology.
Groups match_to_nodes(Groups groups, const std::vector<int>& devices) {
  std::vector<std::size_t> by_devices(devices.size());
  std::iota(by_devices.begin(), by_devices.end(), std::size_t{0});
  std::stable_sort(by_devices.begin(), by_devices.end(),
                   [&](std::size_t a, std::size_t b) { return devices[a] > devices[b]; });
  std::stable_sort(groups.begin(), groups.end(),
                   [](const auto& a, const auto& b) { return a.size() > b.size(); });
  Groups matched(groups.size());
  for (std::size_t i = 0; i < groups.size(); ++i) matched[by_devices[i]] = std::move(groups[i]);
  return matched;
}

Groups node_groups(const Affinity& affinity, const Topology& topology,
                   const SpectralOptions& spectral) {
  std::vector<int> everyone(static_cast<std::size_t>(affinity.experts));
  std::iota(everyone.begin(), everyone.end(), 0);
  if (topology.nodes() == 1) return {everyone};
  const std::vector<int> devices = topology.devices_per_node();
  Split split{spectral_groups(affinity, everyone, topology.nodes(), spectral), {}, devices};
  for (const int count : devices)
    split.targets.push_back(static_cast<double>(affinity.experts) * count / topology.devices());
  if (!topology.uniform()) {
    split.start = match_to_nodes(std::move(split.start), devices);
    return at_knee(affinity, {split}).groups;
  }
  // As clustered: only the minimum binds.
  SizeBounds bounds = size_bounds(split.targets, 0, devices);
  const bool enough = affinity.experts >= topology.devices();
  if (enough) bounds.low = devices;
  bounds.high.assign(devices.size(), affinity.experts);
  return controlled_groups(affinity, split.start, bounds);
}

}  // namespace

std::vector<double> candidate_ratios() {
  std::vector<double> ratios;
  for (int percent = 0; percent <= 100; percent += 5) ratios.push_back(percent / 100.0);
  return ratios;
}

HierarchicalGroups hierarchical_groups(const Affinity& affinity, const Topology& topology,
                                       const HierarchicalOptions& options) {
  GM_CHECK(options.policy != RatioPolicy::kFixed || options.ratio > 0, "grouping: ratio");
  const Groups nodes = node_groups(affinity, topology, options.spectral);
  std::vector<Split> splits;
  for (int node = 0; node < topology.nodes(); ++node) {
    const auto& members = nodes[static_cast<std::size_t>(node)];
    const int count = topology.devices_on(node);
    SpectralOptions spectral = options.spectral;
    spectral.seed = hash_combine(spectral.seed, static_cast<std::uint64_t>(node) + 1);
    splits.push_back({spectral_groups(affinity, members, count, spectral),
                      std::vector<double>(static_cast<std::size_t>(count),
                                          static_cast<double>(members.size()) / count),
                      {}});
  }
  Chosen chosen = choose(affinity, splits, options);
  return {std::move(chosen.groups), chosen.ratio, std::move(chosen.curve)};
}

}  // namespace gracemoe
