#include "planner/balance_search.h"

#include <algorithm>
#include <limits>

#include "base/hash.h"

namespace gracemoe {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
// A step must gain more than rounding, or steps could undo each other for ever.
constexpr double kLess = 1 - 1e-12;

// A swap that leaves less than this part of the way to the goal is taken without a look at other
// steps.
constexpr double kFar = 0.7;
// Steps at random before a descent: 1, 2, 3, 1, 2, ... One alone is undone too often; with three
// the best of 60 small problems is found in all, with one in 54.
constexpr std::uint64_t kDisturbances = 3;

std::size_t index_of_max(std::span<const double> values) {
  return static_cast<std::size_t>(std::max_element(values.begin(), values.end()) - values.begin());
}

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

}  // namespace

SlotShape slot_shape(std::span<const int> slots_per_device, std::span<const double> speed) {
  SlotShape shape;
  shape.first_slot.push_back(0);
  for (std::size_t d = 0; d < slots_per_device.size(); ++d) {
    shape.first_slot.push_back(shape.first_slot.back() + at(slots_per_device[d]));
    shape.device_of_slot.resize(shape.first_slot.back(), d);
    shape.seconds.resize(shape.first_slot.back(), speed.empty() ? 1.0 : 1 / speed[d]);
  }
  return shape;
}

BalanceSearch::BalanceSearch(const SlotShape& shape, std::span<const double> load)
    : shape_(shape),
      load_(load),
      words_((load.size() + 63) / 64),
      slot_share_(shape.slots()),
      freed_cost_(shape.slots()),
      others_cost_(shape.slots()),
      raised_(load.size()) {}

bool BalanceSearch::holds(const Placement& p, std::size_t device, int expert) const {
  return (p.held[device * words_ + at(expert) / 64] >> (at(expert) % 64)) & 1;
}

bool BalanceSearch::can_swap(const Placement& p, std::size_t a, std::size_t b) const {
  const int x = p.expert[a], y = p.expert[b];
  const std::size_t of_a = shape_.device_of_slot[a], of_b = shape_.device_of_slot[b];
  return x != y && of_a != of_b && (x == kEmptySlot || !holds(p, of_b, x)) &&
         (y == kEmptySlot || !holds(p, of_a, y));
}

bool BalanceSearch::can_copy(const Placement& p, std::size_t slot, int expert) const {
  const int old = p.expert[slot];
  return (old == kEmptySlot || p.count[at(old)] > 1) &&
         !holds(p, shape_.device_of_slot[slot], expert);
}

void BalanceSearch::flip(Placement& p, std::size_t device, int expert) const {
  if (expert != kEmptySlot)
    p.held[device * words_ + at(expert) / 64] ^= std::uint64_t{1} << (at(expert) % 64);
}

void BalanceSearch::count(Placement& p, int expert, int change) const {
  if (expert == kEmptySlot) return;
  const std::size_t e = at(expert);
  p.count[e] += change;
  p.share[e] = load_[e] / p.count[e];
  p.next_share[e] = load_[e] / (p.count[e] + 1);
  p.rise[e] = p.count[e] > 1 ? load_[e] / (p.count[e] - 1) - p.share[e] : kInfinite;
}

double BalanceSearch::device_cost(const Placement& p, std::size_t device) const {
  double sum = 0;
  const std::size_t begin = shape_.first_slot[device], end = shape_.first_slot[device + 1];
  for (std::size_t s = begin; s < end; ++s)
    if (p.expert[s] != kEmptySlot) sum += p.share[at(p.expert[s])];
  return begin == end ? 0 : sum * shape_.seconds[begin];
}

Placement BalanceSearch::place(std::vector<int> expert_of_slot) const {
  Placement p;
  p.expert = std::move(expert_of_slot);
  p.count.resize(load_.size());
  p.share.resize(load_.size());
  p.next_share.resize(load_.size());
  p.rise.resize(load_.size());
  p.held.resize(shape_.devices() * words_);
  for (std::size_t s = 0; s < p.expert.size(); ++s) {
    count(p, p.expert[s], 1);
    flip(p, shape_.device_of_slot[s], p.expert[s]);
  }
  for (std::size_t d = 0; d < shape_.devices(); ++d) p.cost.push_back(device_cost(p, d));
  p.busiest = index_of_max(p.cost);
  return p;
}

void BalanceSearch::prepare_slots(const Placement& p, std::size_t device) {
  for (std::size_t s = shape_.first_slot[device]; s < shape_.first_slot[device + 1]; ++s) {
    slot_share_[s] = p.expert[s] == kEmptySlot ? 0 : p.share[at(p.expert[s])];
    freed_cost_[s] = p.cost[device] - slot_share_[s] * shape_.seconds[s];
  }
}

void BalanceSearch::prepare_slots(const Placement& p) {
  for (std::size_t d = 0; d < shape_.devices(); ++d) prepare_slots(p, d);
}

void BalanceSearch::prepare_others(const Placement& p) {
  std::fill(raised_.begin(), raised_.end(), TopTwo{});
  for (std::size_t s = 0; s < p.expert.size(); ++s) {
    const int e = p.expert[s];
    others_cost_[s] = e == kEmptySlot ? 0 : kInfinite;
    if (e == kEmptySlot || p.count[at(e)] == 1) continue;
    const double raised = p.cost[shape_.device_of_slot[s]] + p.rise[at(e)] * shape_.seconds[s];
    TopTwo& top = raised_[at(e)];
    if (raised > top.first) {
      top = {raised, top.first, s};
    } else {
      top.second = std::max(top.second, raised);
    }
  }
  for (std::size_t s = 0; s < p.expert.size(); ++s) {
    const int e = p.expert[s];
    if (e == kEmptySlot || p.count[at(e)] == 1) continue;
    const TopTwo& top = raised_[at(e)];
    others_cost_[s] = top.slot == s ? top.second : top.first;
  }
}

void BalanceSearch::consider_swaps(const Placement& p, Step& best) {
  const std::size_t begin = shape_.first_slot[p.busiest], end = shape_.first_slot[p.busiest + 1];
  const double seconds = shape_.seconds[begin];
  for (std::size_t a = begin; a < end; ++a) {
    const double share = slot_share_[a], freed = freed_cost_[a];
    for (std::size_t b = 0; b < p.expert.size(); ++b) {
      const double here = freed + slot_share_[b] * seconds;
      const double there = freed_cost_[b] + share * shape_.seconds[b];
      if ((here < best.cost) & (there < best.cost) && can_swap(p, a, b))
        best = {true, true, a, b, kEmptySlot, std::max(here, there), 0};
    }
  }
  spent_ += static_cast<std::int64_t>((end - begin + 1) * p.expert.size());
}

// A copy of one of the busiest device's experts elsewhere, in the place of another's or in an empty
// slot.
void BalanceSearch::consider_copies(const Placement& p, Step& best) {
  const std::size_t begin = shape_.first_slot[p.busiest], end = shape_.first_slot[p.busiest + 1];
  for (std::size_t a = begin; a < end; ++a) {
    const int e = p.expert[a];
    if (e == kEmptySlot) continue;
    const double share = p.next_share[at(e)];
    const double here = p.max_cost() - (p.share[at(e)] - share) * shape_.seconds[a];
    if (!(here < best.cost)) continue;  // and below, a step found is no worse than `here`
    for (std::size_t b = 0; b < shape_.slots(); ++b) {
      const double there = freed_cost_[b] + share * shape_.seconds[b];
      if ((there < best.cost) & (others_cost_[b] < best.cost) && can_copy(p, b, e))
        best = {true, false, b, 0, e, std::max(here, std::max(there, others_cost_[b])), 0};
    }
    spent_ += static_cast<std::int64_t>(shape_.slots());
  }
}

// The busiest device gives an instance up, for a copy of a lighter expert or for nothing.
void BalanceSearch::consider_drops(const Placement& p, Step& best) {
  const std::size_t begin = shape_.first_slot[p.busiest], end = shape_.first_slot[p.busiest + 1];
  for (std::size_t a = begin; a < end; ++a) {
    const double others = others_cost_[a], freed = freed_cost_[a], seconds = shape_.seconds[a];
    if (p.expert[a] == kEmptySlot || !(others < best.cost)) continue;
    const auto consider = [&](int expert, double cost, double relief) {
      if (cost < best.cost || (best.found && cost == best.cost && relief > best.relief))
        if (expert == kEmptySlot || can_copy(p, a, expert))
          best = {true, false, a, 0, expert, cost, relief};
    };
    consider(kEmptySlot, std::max(others, freed), 0);
    for (std::size_t e = 0; e < load_.size(); ++e)
      consider(static_cast<int>(e), std::max(others, freed + p.next_share[e] * seconds),
               p.share[e] - p.next_share[e]);
    spent_ += static_cast<std::int64_t>(load_.size());
  }
}

BalanceSearch::Step BalanceSearch::best_step(const Placement& p, double goal) {
  spent_ += static_cast<std::int64_t>(shape_.devices());
  Step best;
  best.cost = p.max_cost() * kLess;
  consider_swaps(p, best);
  // Swaps are cheap to find: other steps are looked at where these do not get far.
  if (best.found && best.cost - goal < kFar * (p.max_cost() - goal)) return best;
  prepare_others(p);
  spent_ += static_cast<std::int64_t>(2 * shape_.slots());
  consider_copies(p, best);
  consider_drops(p, best);
  return best;
}

void BalanceSearch::apply(Placement& p, const Step& step) const {
  const std::size_t d = shape_.device_of_slot[step.a];
  flip(p, d, p.expert[step.a]);
  if (step.is_swap) {
    const std::size_t other = shape_.device_of_slot[step.b];
    flip(p, other, p.expert[step.b]);
    std::swap(p.expert[step.a], p.expert[step.b]);
    flip(p, other, p.expert[step.b]);
    p.cost[d] = device_cost(p, d);
    p.cost[other] = device_cost(p, other);
  } else {
    count(p, p.expert[step.a], -1);
    p.expert[step.a] = step.expert;
    count(p, step.expert, 1);
    for (std::size_t i = 0; i < shape_.devices(); ++i) p.cost[i] = device_cost(p, i);
  }
  flip(p, d, p.expert[step.a]);
  p.busiest = index_of_max(p.cost);
}

std::int64_t BalanceSearch::descend(Placement& placement, double goal, std::int64_t effort) {
  const std::int64_t before = spent_;
  if (placement.max_cost() > goal) prepare_slots(placement);
  while (spent_ - before < effort && placement.max_cost() > goal) {
    const Step step = best_step(placement, goal);
    if (!step.found) break;
    apply(placement, step);
    if (step.is_swap) {
      prepare_slots(placement, shape_.device_of_slot[step.a]);
      prepare_slots(placement, shape_.device_of_slot[step.b]);
    } else {
      prepare_slots(placement);
    }
  }
  return spent_ - before;
}

// A step at random that need not help: a swap or a copy, of the busiest device or of any.
void BalanceSearch::disturb(Placement& p, std::uint64_t random) const {
  constexpr int kTries = 32;
  for (int i = 0; i < kTries; ++i) {
    random = mix64(random + 0x9e3779b97f4a7c15ULL);
    const bool anywhere = (random >> 62 & 1) != 0, swap = (random >> 63) != 0;
    const std::size_t begin = anywhere ? 0 : shape_.first_slot[p.busiest];
    const std::size_t end = anywhere ? shape_.slots() : shape_.first_slot[p.busiest + 1];
    const std::size_t a = begin + (random & 0xffffff) % (end - begin);
    const std::size_t b = (random >> 24 & 0xffffffff) % shape_.slots();
    if (swap && can_swap(p, a, b)) {
      apply(p, {true, true, a, b, kEmptySlot, 0, 0});
      return;
    }
    const int e = p.expert[a];
    if (!swap && e != kEmptySlot && can_copy(p, b, e)) {
      apply(p, {true, false, b, 0, e, 0, 0});
      return;
    }
  }
}

std::int64_t BalanceSearch::explore(Placement& placement, double goal, std::int64_t effort,
                                    std::uint64_t seed) {
  const std::int64_t before = spent_;
  Placement current = placement, next;
  for (std::uint64_t i = 0; spent_ - before < effort && placement.max_cost() > goal; ++i) {
    next = current;
    for (std::uint64_t times = 0; times <= i % kDisturbances; ++times) {
      disturb(next, hash_combine(seed, i * kDisturbances + times));
      spent_ += static_cast<std::int64_t>(2 * shape_.slots());
    }
    descend(next, goal, effort - (spent_ - before));
    if (next.max_cost() <= current.max_cost()) std::swap(current, next);
    if (current.max_cost() < placement.max_cost()) placement = current;
  }
  return spent_ - before;
}

}  // namespace gracemoe
