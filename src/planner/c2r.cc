#include "planner/c2r.h"

#include <algorithm>
#include <numeric>

#include "plan/contiguous.h"

namespace gracemoe {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

double affinity_sum(const Affinity& affinity, int expert, const std::vector<int>& others) {
  double sum = 0;
  for (const int other : others)
    if (other != expert) sum += affinity.at(expert, other);
  return sum;
}

// The `length` candidates that the expert is most often selected with.
std::vector<int> top_list(const Affinity& affinity, int expert, std::vector<int> candidates,
                          std::size_t length) {
  std::erase(candidates, expert);
  const auto middle = candidates.begin() + static_cast<std::ptrdiff_t>(length);
  std::partial_sort(candidates.begin(), middle, candidates.end(), [&](int a, int b) {
    const double x = affinity.at(expert, a), y = affinity.at(expert, b);
    return x != y ? x > y : a < b;
  });
  candidates.erase(middle, candidates.end());
  return candidates;
}

// The most specialised of the unplaced experts with its list.
std::vector<int> next_group(const Affinity& affinity, const std::vector<int>& unplaced,
                            const std::vector<double>& total, std::size_t size) {
  std::vector<int> best;
  double most = -1;
  for (const int e : unplaced) {
    std::vector<int> list = top_list(affinity, e, unplaced, size - 1);
    const double share = total[at(e)] > 0 ? affinity_sum(affinity, e, list) / total[at(e)] : 0;
    if (share <= most) continue;
    most = share;
    best = std::move(list);
    best.push_back(e);
  }
  std::sort(best.begin(), best.end());
  return best;
}

// Exchanges pairs between groups as long as that puts more affinity inside.
class Exchange {
 public:
  Exchange(const Affinity& affinity, const Groups& groups)
      : affinity_(affinity), groups_(groups.size()), group_of_(at(affinity.experts)) {
    inside_.resize(at(affinity.experts) * groups_);
    for (std::size_t g = 0; g < groups_; ++g) {
      for (const int e : groups[g]) group_of_[at(e)] = g;
      for (int e = 0; e < affinity.experts; ++e)
        inside(e, g) = affinity_sum(affinity, e, groups[g]);
    }
  }

  Groups run() {
    constexpr int kRounds = 100;
    for (int round = 0; round < kRounds && one_round(); ++round) {
    }
    Groups groups(groups_);
    for (int e = 0; e < affinity_.experts; ++e) groups[group_of_[at(e)]].push_back(e);
    return groups;
  }

 private:
  double& inside(int expert, std::size_t group) { return inside_[at(expert) * groups_ + group]; }

  bool one_round() {
    bool changed = false;
    for (int a = 0; a < affinity_.experts; ++a) {
      for (int b = a + 1; b < affinity_.experts; ++b) {
        const std::size_t of_a = group_of_[at(a)], of_b = group_of_[at(b)];
        if (of_a == of_b) continue;
        const double lost = inside(a, of_a) + inside(b, of_b);
        const double won = inside(a, of_b) + inside(b, of_a) - 2 * affinity_.at(a, b);
        if (!(won - lost > 1e-9 * (won + lost))) continue;
        move(a, of_b);
        move(b, of_a);
        changed = true;
      }
    }
    return changed;
  }

  void move(int expert, std::size_t to) {
    const std::size_t from = group_of_[at(expert)];
    group_of_[at(expert)] = to;
    for (int e = 0; e < affinity_.experts; ++e) {
      if (e == expert) continue;
      inside(e, from) -= affinity_.at(e, expert);
      inside(e, to) += affinity_.at(e, expert);
    }
  }

  const Affinity& affinity_;
  std::size_t groups_;
  std::vector<std::size_t> group_of_;  // [experts]
  std::vector<double> inside_;         // [experts, groups] affinity to a group's members
};

}  // namespace

Groups c2r_groups(const Affinity& affinity, int devices) {
  std::vector<double> total(at(affinity.experts));
  std::vector<int> unplaced(total.size());
  std::iota(unplaced.begin(), unplaced.end(), 0);
  for (const int e : unplaced) total[at(e)] = affinity_sum(affinity, e, unplaced);
  Groups groups;
  for (int d = 0; d < devices; ++d) {
    const int size = contiguous_end(affinity.experts, devices, d) -
                     (d == 0 ? 0 : contiguous_end(affinity.experts, devices, d - 1));
    groups.push_back(size == 0 ? std::vector<int>{}
                               : next_group(affinity, unplaced, total, at(size)));
    std::erase_if(unplaced, [&](int e) {
      return std::binary_search(groups.back().begin(), groups.back().end(), e);
    });
  }
  return Exchange(affinity, groups).run();
}

}  // namespace gracemoe
