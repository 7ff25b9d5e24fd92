#include "planner/balance.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "planner/balance_search.h"
#include "planner/eplb.h"
#include "planner/load_inputs.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr double kRounding = 1 + 1e-9;

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

BalanceProblem problem_of(const std::vector<double>& load, std::vector<int> slots) {
  BalanceProblem problem;
  problem.load = load;
  problem.slots_per_device = std::move(slots);
  return problem;
}

bool shares_are_equal(const BalanceResult& result) {
  for (std::size_t d = 0; d < result.share.size(); ++d)
    for (std::size_t i = 0; i < result.share[d].size(); ++i)
      if (std::abs(result.share[d][i] * result.count[at(result.device_experts[d][i])] - 1) > 1e-9)
        return false;
  return true;
}

// Every expert placed, none twice on a device, slots kept, shares that sum to 1, counts and
// max_over_mean as they follow.
void expect_valid(const BalanceResult& result, const BalanceProblem& p) {
  ASSERT_EQ(result.device_experts.size(), p.slots_per_device.size());
  std::vector<int> count(p.load.size());
  std::vector<double> share(p.load.size());
  double busiest = 0, speeds = 0, total = 0;
  for (std::size_t d = 0; d < result.device_experts.size(); ++d) {
    const auto& held = result.device_experts[d];
    EXPECT_LE(held.size(), at(p.slots_per_device[d]));
    EXPECT_TRUE(std::is_sorted(held.begin(), held.end()));
    EXPECT_EQ(std::adjacent_find(held.begin(), held.end()), held.end());
    double load = 0;
    for (std::size_t i = 0; i < held.size(); ++i) {
      ++count[at(held[i])];
      share[at(held[i])] += result.share[d][i];
      load += p.load[at(held[i])] * result.share[d][i];
    }
    const double speed = p.speed.empty() ? 1 : p.speed[d];
    busiest = std::max(busiest, load / speed);
    speeds += speed;
    total += load;
  }
  EXPECT_EQ(result.count, count);
  EXPECT_NEAR(total, std::accumulate(p.load.begin(), p.load.end(), 0.0), 1e-6 * (1 + total));
  for (std::size_t e = 0; e < count.size(); ++e) {
    EXPECT_GE(count[e], 1);
    EXPECT_NEAR(share[e], 1, 1e-9);
  }
  EXPECT_NEAR(result.max_over_mean, total > 0 ? busiest * speeds / total : 1, 1e-9);
}

TEST(Balance, JointReplicationExample) {
  const std::vector<double> load{600, 560, 120, 120, 20, 10, 10, 10};
  const BalanceProblem p = problem_of(load, even_slots(16, 8));
  const BalanceResult result = balance_layer(p);
  expect_valid(result, p);
  EXPECT_TRUE(shares_are_equal(result));
  EXPECT_LE(result.max_over_mean * 1450 / 8, 590.0 / 3 * kRounding);  // 196.67
}

TEST(Balance, NeverWorseThanEplbAndAlwaysValid) {
  Random random(11);
  int uneven = 0;
  for (int i = 0; i < 200; ++i) {
    const int experts = 1 + random.below(40), devices = 1 + random.below(20);
    const int least = (experts + devices - 1) / devices;
    const int each = least + random.below(std::max(1, std::min(4, experts - least + 1)));
    const auto load = random_loads(random, static_cast<LoadKind>(i % kLoadKinds), experts);
    const BalanceProblem p = problem_of(load, even_slots(devices * each, devices));
    BalanceOptions options;
    options.effort = 20'000;
    options.seed = static_cast<std::uint64_t>(i);
    const BalanceResult result = balance_layer(p, options);
    expect_valid(result, p);
    const EplbLayer published = eplb(load, {devices * each, devices});
    EXPECT_LE(result.max_over_mean, slots_max_over_mean(published, load, devices) * kRounding);
    options.shares = Shares::kEqual;
    const BalanceResult equal = balance_layer(p, options);
    expect_valid(equal, p);
    EXPECT_TRUE(shares_are_equal(equal));
    if (!shares_are_equal(result)) ++uneven;
  }
  EXPECT_LT(uneven, 12);  // EPLB's own shares are the exception
}

TEST(Balance, SizesOfDeployments) {
  struct Size {
    int experts, devices, slots;
  };
  Random random(12);
  for (const Size s : {Size{64, 8, 72}, Size{128, 16, 128}, Size{256, 32, 288}, Size{160, 7, 168},
                       Size{256, 144, 288}, Size{256, 320, 640}}) {
    for (int kind = 0; kind < kLoadKinds; ++kind) {
      const auto load = random_loads(random, static_cast<LoadKind>(kind), s.experts);
      const BalanceProblem p = problem_of(load, even_slots(s.slots, s.devices));
      const BalanceResult result = balance_layer(p);
      expect_valid(result, p);
      EXPECT_LE(result.max_over_mean,
                slots_max_over_mean(eplb(load, {s.slots, s.devices}), load, s.devices) * kRounding);
    }
  }
}

// The least max over mean of all placements with equal shares, by trying them.
class Brute {
 public:
  explicit Brute(const BalanceProblem& p) : p_(p), held_(at(p.devices())) {}
  double best() {
    try_device(0);
    const double total = std::accumulate(p_.load.begin(), p_.load.end(), 0.0);
    double speeds = p_.devices();
    if (!p_.speed.empty()) speeds = std::accumulate(p_.speed.begin(), p_.speed.end(), 0.0);
    return best_ * speeds / total;
  }

 private:
  void try_device(std::size_t d) {
    if (d == held_.size()) {
      measure();
      return;
    }
    for (unsigned set = 0; set < 1U << p_.experts(); ++set) {
      if (__builtin_popcount(set) > p_.slots_per_device[d]) continue;
      held_[d] = set;
      try_device(d + 1);
    }
  }
  void measure() {
    std::vector<int> count(p_.load.size());
    for (const unsigned set : held_)
      for (std::size_t e = 0; e < count.size(); ++e) count[e] += static_cast<int>(set >> e & 1);
    if (std::find(count.begin(), count.end(), 0) != count.end()) return;
    double busiest = 0;
    for (std::size_t d = 0; d < held_.size(); ++d) {
      double load = 0;
      for (std::size_t e = 0; e < count.size(); ++e)
        if (held_[d] >> e & 1) load += p_.load[e] / count[e];
      busiest = std::max(busiest, p_.speed.empty() ? load : load / p_.speed[d]);
    }
    best_ = std::min(best_, busiest);
  }
  const BalanceProblem& p_;
  std::vector<unsigned> held_;
  double best_ = std::numeric_limits<double>::infinity();
};

TEST(Balance, FindsTheBestOfSmallProblems) {
  Random random(13);
  BalanceOptions options;
  options.shares = Shares::kEqual;
  options.tolerance = 0;
  for (int i = 0; i < 60; ++i) {
    const int experts = 2 + random.below(4), devices = 2 + random.below(2);
    std::vector<double> load;
    for (int e = 0; e < experts; ++e) load.push_back(1 + random.below(100));
    std::vector<int> slots;
    for (int d = 0; d < devices; ++d)
      slots.push_back((experts + devices - 1) / devices + random.below(2));
    BalanceProblem p = problem_of(load, slots);
    for (int d = 0; i % 2 == 1 && d < devices; ++d) p.speed.push_back(1 + random.below(3));
    const BalanceResult result = balance_layer(p, options);
    expect_valid(result, p);
    EXPECT_NEAR(result.max_over_mean, Brute(p).best(), 1e-9) << "problem " << i;
  }
}

// EPLB has one device serve 2/3 of the first expert: perfectly even, and no equal shares are.
TEST(Balance, EqualSharesCannotAlwaysReachEplb) {
  const std::vector<double> load{90, 10, 35, 5};
  const BalanceProblem p = problem_of(load, {3, 3});
  EXPECT_NEAR(slots_max_over_mean(eplb(load, {6, 2}), load, 2), 1, 1e-12);
  EXPECT_NEAR(Brute(p).best(), 72.5 / 70, 1e-12);
  BalanceOptions options;
  options.shares = Shares::kEqual;
  EXPECT_NEAR(balance_layer(p, options).max_over_mean, 72.5 / 70, 1e-12);
  options.shares = Shares::kBestKnown;
  const BalanceResult result = balance_layer(p, options);
  expect_valid(result, p);
  EXPECT_NEAR(result.max_over_mean, 1, 1e-12);
  EXPECT_FALSE(shares_are_equal(result));
}

TEST(Balance, UnequalSlotsAndSpeeds) {
  Random random(14);
  for (int i = 0; i < 60; ++i) {
    const int experts = 1 + random.below(30), devices = 1 + random.below(12);
    const auto load = random_loads(random, static_cast<LoadKind>(i % kLoadKinds), experts);
    std::vector<int> slots;
    for (int d = 0; d < devices; ++d) slots.push_back(random.below(6));
    slots[0] += std::max(0, experts - std::accumulate(slots.begin(), slots.end(), 0));
    BalanceProblem p = problem_of(load, slots);
    for (int d = 0; i % 3 != 0 && d < devices; ++d) p.speed.push_back(0.5 + random_unit(random));
    BalanceOptions options;
    options.effort = 20'000;
    expect_valid(balance_layer(p, options), p);
  }
}

TEST(Balance, FasterDevicesGetMore) {
  const std::vector<double> load(16, 10.0);
  BalanceProblem p = problem_of(load, {16, 16});
  p.speed = {1, 3};
  const BalanceResult result = balance_layer(p);
  EXPECT_NEAR(result.max_over_mean, 1, 1e-4);
}

TEST(Balance, GroupsStayOnTheirNodes) {
  Random random(15);
  for (int i = 0; i < 40; ++i) {
    const int nodes = 1 + random.below(3), groups = nodes * (1 + random.below(3));
    const int size = 1 + random.below(5), experts = groups * size;
    const int devices = nodes * (1 + random.below(4));
    const int each = (experts + devices - 1) / devices + random.below(3);
    const auto load = random_loads(random, static_cast<LoadKind>(i % kLoadKinds), experts);
    BalanceProblem p = problem_of(load, even_slots(devices * each, devices));
    p.groups = groups;
    p.nodes = nodes;
    BalanceOptions options;
    options.effort = 20'000;
    const BalanceResult result = balance_layer(p, options);
    expect_valid(result, p);
    std::vector<int> node_of(at(groups), -1);
    for (int d = 0; d < devices; ++d) {
      for (const int e : result.device_experts[at(d)]) {
        int& node = node_of[at(e / size)];
        if (node < 0) node = d / (devices / nodes);
        EXPECT_EQ(node, d / (devices / nodes));
      }
    }
    const EplbLayer published =
        eplb(load, {devices * each, devices, nodes, groups, EplbPolicy::kHierarchical});
    EXPECT_LE(result.max_over_mean, slots_max_over_mean(published, load, devices) * kRounding);
  }
}

TEST(Balance, TheSameForAnyNumberOfThreads) {
  Random random(16);
  std::vector<double> loads;
  for (int layer = 0; layer < 5; ++layer) {
    const auto load = random_loads(random, LoadKind::kLogNormal, 24);
    loads.insert(loads.end(), load.begin(), load.end());
  }
  BalanceProblem shape;
  shape.slots_per_device = even_slots(33, 6);
  const auto one = balance_layers(loads, 5, shape, {}, 1);
  for (const int threads : {2, 5}) {
    const auto many = balance_layers(loads, 5, shape, {}, threads);
    for (std::size_t layer = 0; layer < 5; ++layer) {
      EXPECT_EQ(many[layer].device_experts, one[layer].device_experts);
      EXPECT_EQ(many[layer].share, one[layer].share);
    }
  }
}

TEST(Balance, DegenerateProblems) {
  const std::vector<double> one{7};
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(one, {1})).max_over_mean, 1);
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(one, {1, 1, 1})).max_over_mean, 1);  // a copy on each
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(one, {0, 5})).max_over_mean, 2);
  const std::vector<double> zero(4, 0.0);
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(zero, {2, 2})).max_over_mean, 1);
  const std::vector<double> four{4, 3, 2, 1};
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(four, {9, 9, 9})).max_over_mean,
                   1);  // everything everywhere
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(four, {2, 2})).max_over_mean, 1);
  BalanceOptions quick;
  quick.effort = 0;
  EXPECT_DOUBLE_EQ(balance_layer(problem_of(four, {2, 2}), quick).max_over_mean, 1);
}

TEST(Balance, RefusesImpossibleProblems) {
  const std::vector<double> load{1, 2, 3, 4};
  BalanceProblem p = problem_of(load, {1, 2});
  EXPECT_THAT(error_of([&] { balance_layer(p); }, ErrorCategory::kUsage),
              HasSubstr("balance: slots for experts: got 3, wanted at least 4, one an expert"));
  p.slots_per_device = {1, 9};  // a fifth slot on a device is of no use
  EXPECT_EQ(error_of([&] { balance_layer(p); }, ErrorCategory::kUsage), "");
  p.groups = 3;
  EXPECT_THAT(error_of([&] { balance_layer(p); }, ErrorCategory::kUsage),
              HasSubstr("got 4, 3, 1, 2, wanted groups of equal size"));
  for (const double bad : {-1.0, std::nan(""), HUGE_VAL}) {
    const std::vector<double> loads{1, bad};
    EXPECT_THAT(error_of([&] {
                  balance_layer(problem_of(loads, {2, 2}));
                }),
                HasSubstr("balance: an expert's load"));
  }
}

// What the search keeps up to date is what a fresh placement of the same slots computes.
TEST(BalanceSearch, KeepsItsFiguresAndOnlyImproves) {
  Random random(17);
  for (int i = 0; i < 40; ++i) {
    const int experts = 2 + random.below(80), devices = 2 + random.below(12);
    const auto load = random_loads(random, static_cast<LoadKind>(i % (kLoadKinds - 1)), experts);
    const std::vector<int> each = even_slots(experts + random.below(12), devices);
    std::vector<double> speed;
    for (int d = 0; i % 2 == 0 && d < devices; ++d) speed.push_back(0.5 + random_unit(random));
    const SlotShape shape = slot_shape(each, speed);
    std::vector<int> slots(shape.slots(), kEmptySlot);
    std::iota(slots.begin(), slots.begin() + experts, 0);
    BalanceSearch search(shape, load);
    Placement p = search.place(slots);
    double before = p.max_cost();
    search.descend(p, 0, 50'000);
    EXPECT_LE(p.max_cost(), before);
    before = p.max_cost();
    search.explore(p, 0, 50'000, 1);
    EXPECT_LE(p.max_cost(), before);
    const Placement fresh = search.place(p.expert);
    EXPECT_EQ(p.count, fresh.count);
    EXPECT_EQ(p.held, fresh.held);
    EXPECT_EQ(p.busiest, fresh.busiest);
    for (std::size_t d = 0; d < p.cost.size(); ++d) EXPECT_DOUBLE_EQ(p.cost[d], fresh.cost[d]);
  }
}

TEST(BalancePlan, IsAValidPlan) {
  const std::vector<double> load{8, 0, 4, 2};
  const BalanceResult result = balance_of({{0, 2}, {0, 1, 3}}, {{1, 1}, {0, 1, 1}}, load);
  Plan plan;
  plan.num_experts = 4;
  plan.top_k = 1;
  plan.topology = Topology::grid(1, 2);
  plan.layers.push_back(balance_plan(result, load));
  validate(plan, "balanced");
  EXPECT_THAT(plan.layers[0].experts[0], ElementsAre(Instance{0, 1}, Instance{1, 1e-6}));
  EXPECT_THAT(plan.layers[0].predicted_load, ElementsAre(12.0 / 14, 2.0 / 14));
  EXPECT_TRUE(balance_plan(result, std::vector<double>(4, 0.0)).predicted_load.empty());
}

// Rising costs of the devices at the lexicographic optimum, from the definition: the set of experts
// with the largest load per speed of its devices, then the rest without these devices.
std::vector<double> slow_costs(const std::vector<std::vector<int>>& held,
                               const std::vector<double>& load, const std::vector<double>& speed) {
  unsigned open = 0;
  for (std::size_t e = 0; e < load.size(); ++e)
    if (load[e] > 0) open |= 1U << e;
  std::vector<bool> used(held.size());
  std::vector<double> cost(held.size());
  while (open != 0) {
    double most = -1;
    unsigned tight = 0;
    for (unsigned set = open; set != 0; set = (set - 1) & open) {
      double work = 0, rate = 0;
      for (std::size_t e = 0; e < load.size(); ++e)
        if (set >> e & 1) work += load[e];
      for (std::size_t d = 0; d < held.size(); ++d)
        for (const int e : held[d])
          if (!used[d] && (set >> e & 1)) {
            rate += speed[d];
            break;
          }
      if (work / rate > most) {
        most = work / rate;
        tight = set;
      }
    }
    for (std::size_t d = 0; d < held.size(); ++d)
      for (const int e : held[d])
        if (!used[d] && (tight >> e & 1)) {
          used[d] = true;
          cost[d] = most;
        }
    open &= ~tight;
  }
  std::sort(cost.begin(), cost.end());
  return cost;
}

TEST(BalanceWeights, AreTheBestThereAre) {
  Random random(18);
  for (int i = 0; i < 150; ++i) {
    const int experts = 1 + random.below(8), devices = 1 + random.below(6);
    std::vector<std::vector<int>> held(at(devices));
    for (int e = 0; e < experts; ++e) {
      const int home = random.below(devices);
      for (int d = 0; d < devices; ++d)
        if (d == home || random.below(3) == 0) held[at(d)].push_back(e);
    }
    const auto load = random_loads(random, static_cast<LoadKind>(i % kLoadKinds), experts);
    std::vector<double> speed(at(devices), 1);
    for (double& s : speed) s = i % 2 == 0 ? 1 : 1 + random.below(4);
    const BalanceResult result = balance_weights(held, load, speed);
    BalanceProblem p = problem_of(load, std::vector<int>(at(devices), experts));
    p.speed = speed;
    expect_valid(result, p);
    std::vector<double> cost;
    for (std::size_t d = 0; d < held.size(); ++d) {
      double sum = 0;
      for (std::size_t k = 0; k < result.share[d].size(); ++k)
        sum += load[at(result.device_experts[d][k])] * result.share[d][k];
      cost.push_back(sum / speed[d]);
    }
    std::sort(cost.begin(), cost.end());
    const auto wanted = slow_costs(held, load, speed);
    for (std::size_t d = 0; d < cost.size(); ++d)
      EXPECT_NEAR(cost[d], wanted[d], 1e-7 * (1 + wanted.back())) << "problem " << i;
  }
}

TEST(BalanceWeights, ByHand) {
  // Expert 0 on both devices, 1 and 2 on one each: 0 fills up what they leave.
  const std::vector<double> load{6, 4, 2};
  const BalanceResult result = balance_weights({{0, 1}, {0, 2}}, load);
  EXPECT_NEAR(result.share[0][0], 2.0 / 6, 1e-9);
  EXPECT_NEAR(result.share[1][0], 4.0 / 6, 1e-9);
  EXPECT_NEAR(result.max_over_mean, 1, 1e-9);
}

TEST(BalanceWeights, NeverWorseThanEqualShares) {
  Random random(19);
  for (int kind = 0; kind < kLoadKinds; ++kind) {
    const auto load = random_loads(random, static_cast<LoadKind>(kind), 64);
    const BalanceProblem p = problem_of(load, even_slots(96, 32));
    BalanceOptions options;
    options.effort = 0;
    options.shares = Shares::kEqual;
    const BalanceResult equal = balance_layer(p, options);
    const BalanceResult free = balance_weights(equal.device_experts, load);
    expect_valid(free, p);
    EXPECT_LE(free.max_over_mean, equal.max_over_mean * kRounding);
  }
}

TEST(BalanceWeights, RefusesAnExpertNowhere) {
  const std::vector<double> load{1, 2};
  EXPECT_THAT(error_of([&] { balance_weights({{0}}, load); }, ErrorCategory::kInternal),
              HasSubstr("an expert is on no device"));
}

}  // namespace
}  // namespace gracemoe
