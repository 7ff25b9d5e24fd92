#include "planner/grouping.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>

#include "base/error.h"

namespace gracemoe {
namespace {

// Where the minima ask for more experts than there are, the largest demands give way: all are cut
// at one level, and what remains goes, one each, to the first that wanted more.
void make_satisfiable(SizeBounds& bounds, int experts) {
  const auto asked_at = [&](int level) {
    std::int64_t sum = 0;
    for (const int low : bounds.low) sum += std::min(low, level);
    return sum;
  };
  if (asked_at(std::numeric_limits<int>::max()) <= experts) return;
  int level = 0;
  while (asked_at(level + 1) <= experts) ++level;
  std::int64_t left = experts - asked_at(level);
  for (std::size_t g = 0; g < bounds.low.size(); ++g) {
    const bool one_more = bounds.low[g] > level && left > 0;
    left -= one_more ? 1 : 0;
    bounds.low[g] = std::min(bounds.low[g], level + (one_more ? 1 : 0));
    bounds.high[g] = std::max(bounds.high[g], bounds.low[g]);
  }
}

// Groups under change, with every expert's affinity sum to every group kept up to date.
class Arrangement {
 public:
  Arrangement(const Affinity& affinity, const Groups& start)
      : affinity_(affinity),
        groups_(start.size()),
        group_of_(static_cast<std::size_t>(affinity.experts), -1),
        pull_(static_cast<std::size_t>(affinity.experts) * start.size()),
        sizes_(start.size()) {
    for (std::size_t g = 0; g < start.size(); ++g)
      for (const int expert : start[g]) put(expert, static_cast<int>(g));
  }

  int size(std::size_t group) const { return sizes_[group]; }
  int experts() const { return affinity_.experts; }
  int group_of(int expert) const { return group_of_[static_cast<std::size_t>(expert)]; }
  double pull(int expert, int group) const { return pull_[index(expert, group)]; }

  void put(int expert, int group) { change(expert, group, 1); }
  void take_out(int expert) { change(expert, group_of(expert), -1); }

  Groups groups() const {
    Groups out(groups_);
    for (int e = 0; e < experts(); ++e)
      if (group_of(e) >= 0) out[static_cast<std::size_t>(group_of(e))].push_back(e);
    return out;
  }

 private:
  std::size_t index(int expert, int group) const {
    return static_cast<std::size_t>(expert) * groups_ + static_cast<std::size_t>(group);
  }
  void change(int expert, int group, int sign) {
    group_of_[static_cast<std::size_t>(expert)] = sign > 0 ? group : -1;
    sizes_[static_cast<std::size_t>(group)] += sign;
    const auto row = affinity_.row(expert);
    for (int other = 0; other < experts(); ++other)
      if (other != expert)
        pull_[index(other, group)] += sign * row[static_cast<std::size_t>(other)];
  }

  const Affinity& affinity_;
  std::size_t groups_;
  std::vector<int> group_of_;  // [experts], -1: none
  std::vector<double> pull_;   // [experts, groups]
  std::vector<int> sizes_;     // [groups]
};

struct Outcast {
  double pull;  // its affinity sum inside the group that it left
  int expert;
};

// Takes the surplus of every group above its maximum out, by the affinity sums of the groups as
// they were.
std::vector<Outcast> put_out_surplus(Arrangement& arrangement, const Groups& start,
                                     const SizeBounds& bounds) {
  std::vector<Outcast> outcasts;
  for (std::size_t g = 0; g < start.size(); ++g) {
    const auto keep = static_cast<std::size_t>(bounds.high[g]);
    if (start[g].size() <= keep) continue;
    std::vector<Outcast> members;
    for (const int e : start[g]) members.push_back({arrangement.pull(e, static_cast<int>(g)), e});
    std::stable_sort(members.begin(), members.end(),
                     [](const Outcast& a, const Outcast& b) { return a.pull > b.pull; });
    outcasts.insert(outcasts.end(), members.begin() + static_cast<std::ptrdiff_t>(keep),
                    members.end());
  }
  for (const Outcast& outcast : outcasts) arrangement.take_out(outcast.expert);
  std::sort(outcasts.begin(), outcasts.end(), [](const Outcast& a, const Outcast& b) {
    return a.pull != b.pull ? a.pull > b.pull : a.expert < b.expert;
  });
  return outcasts;
}

void place_where_drawn(Arrangement& arrangement, int expert, const SizeBounds& bounds) {
  int best = -1;
  for (int g = 0; g < static_cast<int>(bounds.high.size()); ++g) {
    if (arrangement.size(static_cast<std::size_t>(g)) >= bounds.high[static_cast<std::size_t>(g)])
      continue;
    if (best < 0 || arrangement.pull(expert, g) > arrangement.pull(expert, best)) best = g;
  }
  GM_CHECK(best >= 0, "grouping: the maximum sizes hold too few experts");
  arrangement.put(expert, best);
}

// Moves the expert whose move to `group` loses the least affinity.
void take_cheapest(Arrangement& arrangement, int group, const SizeBounds& bounds) {
  int best = -1;
  double least = std::numeric_limits<double>::infinity();
  for (int e = 0; e < arrangement.experts(); ++e) {
    const int from = arrangement.group_of(e);
    if (from < 0 || from == group ||
        arrangement.size(static_cast<std::size_t>(from)) <=
            bounds.low[static_cast<std::size_t>(from)])
      continue;
    const double cost = arrangement.pull(e, from) - arrangement.pull(e, group);
    if (cost < least) best = e, least = cost;
  }
  GM_CHECK(best >= 0, "grouping: the minimum sizes ask for too many experts");
  arrangement.take_out(best);
  arrangement.put(best, group);
}

}  // namespace

SizeBounds size_bounds(std::span<const double> targets, double ratio,
                       std::span<const int> minimum) {
  // Sums of shares such as n * 3 / 7 are off by a few ulps: 1e-9 keeps them from rounding the wrong
  // way.
  constexpr double kSlack = 1e-9;
  SizeBounds bounds;
  for (std::size_t g = 0; g < targets.size(); ++g) {
    const double mean = targets[g];
    const double delta = ratio > 0 ? std::max(1.0, std::round(mean * ratio)) : 0.0;
    int low = static_cast<int>(std::ceil(mean - delta - kSlack));
    if (ratio <= 0) low = static_cast<int>(std::floor(mean + kSlack));
    low = std::max(low, 1);
    const double high = ratio > 0 ? std::floor(mean + delta + kSlack) : std::ceil(mean - kSlack);
    if (!minimum.empty()) low = std::max(low, minimum[g]);
    bounds.low.push_back(low);
    bounds.high.push_back(static_cast<int>(high));
  }
  const double experts = std::accumulate(targets.begin(), targets.end(), 0.0);
  make_satisfiable(bounds, static_cast<int>(std::lround(experts)));
  return bounds;
}

Groups controlled_groups(const Affinity& affinity, const Groups& start, const SizeBounds& bounds) {
  Arrangement arrangement(affinity, start);
  for (const Outcast& outcast : put_out_surplus(arrangement, start, bounds))
    place_where_drawn(arrangement, outcast.expert, bounds);
  for (std::size_t g = 0; g < start.size(); ++g)
    while (arrangement.size(g) < bounds.low[g])
      take_cheapest(arrangement, static_cast<int>(g), bounds);
  return arrangement.groups();
}

double affinity_inside(const Affinity& affinity, const Groups& groups) {
  double sum = 0;
  for (const auto& group : groups)
    for (std::size_t i = 0; i < group.size(); ++i)
      for (std::size_t j = 0; j < i; ++j) sum += affinity.at(group[i], group[j]);
  return sum;
}

double affinity_total(const Affinity& affinity) {
  double sum = 0;
  for (int i = 0; i < affinity.experts; ++i)
    for (int j = 0; j < i; ++j) sum += affinity.at(i, j);
  return sum;
}

}  // namespace gracemoe
