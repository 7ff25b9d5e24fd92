#include "planner/visit_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "base/hash.h"

namespace gracemoe {
namespace {

constexpr int kTries = 32;  // to find a random item of a kind, before the proposal is given up

class Proposer {
 public:
  Proposer(const VisitState& state, std::uint64_t seed) : state_(state), seed_(seed) {
    places_ = state.problem().places;
    experts_ = state.problem().tokens->experts();
  }

  double uniform() { return unit_interval(hash_combine(seed_, counter_++)); }
  int below(int n) { return static_cast<int>(uniform() * n); }

  // Fills one change or two; false: nothing of the kind was found.
  bool propose(Change& a, Change& b, bool& two) {
    const double kind = uniform();
    two = false;
    if (kind < 0.45 && state_.copies() > 0) return two = copy_changes_hands(a, b);
    if (kind < 0.85) return two = exchange(a, b);
    if (kind < 0.95 || places_ == 2) return move(a);
    return other_main(a);
  }

 private:
  bool holds(int e, int p) const { return state_.holds(e, p); }
  bool fits(int place) const {
    return state_.experts_on(place) < state_.problem().max_experts[static_cast<std::size_t>(place)];
  }
  int random_place_with(int expert, bool held) {
    for (int i = 0; i < kTries; ++i)
      if (const int p = below(places_); holds(expert, p) == held) return p;
    return -1;
  }
  int other_instance(int expert, int but) {
    for (int i = 0; i < kTries; ++i)
      if (const int p = below(places_); p != but && holds(expert, p)) return p;
    return -1;
  }
  int random_expert(bool replicated) {
    for (int i = 0; i < kTries; ++i)
      if (const int e = below(experts_); (state_.instances(e) > 1) == replicated) return e;
    return -1;
  }

  // One expert gets an instance where another loses one.
  bool copy_changes_hands(Change& a, Change& b) {
    const int e = below(experts_), f = random_expert(true);
    if (f < 0 || e == f || state_.instances(e) == places_) return false;
    const int to = random_place_with(e, false), from = random_place_with(f, true);
    if (to < 0 || from < 0 || (to != from && !fits(to))) return false;
    a = {e, to, -1, state_.main(e)};
    b = {f, -1, from, state_.main(f)};
    if (b.main == from) b.main = other_instance(f, from);
    return b.main >= 0;
  }

  bool exchange(Change& a, Change& b) {
    const int e = below(experts_), f = below(experts_);
    if (e == f) return false;
    const int from = random_place_with(e, true), to = random_place_with(f, true);
    if (from < 0 || to < 0 || from == to || holds(e, to) || holds(f, from)) return false;
    a = moved(e, from, to);
    b = moved(f, to, from);
    return true;
  }

  bool move(Change& a) {
    const int e = below(experts_);
    if (state_.instances(e) == places_) return false;
    const int from = random_place_with(e, true), to = random_place_with(e, false);
    if (from < 0 || to < 0 || !fits(to)) return false;
    a = moved(e, from, to);
    return true;
  }

  bool other_main(Change& a) {
    const int e = random_expert(true);
    if (e < 0) return false;
    const int place = other_instance(e, state_.main(e));
    a = {e, -1, -1, place};
    return place >= 0;
  }

  Change moved(int e, int from, int to) const {
    return {e, to, from, state_.main(e) == from ? to : state_.main(e)};
  }

  const VisitState& state_;
  std::uint64_t seed_, counter_ = 0;
  int places_ = 1, experts_ = 1;
};

}  // namespace

void anneal(VisitState& state, const Annealing& how, std::uint64_t seed) {
  const VisitProblem& problem = state.problem();
  if (problem.places < 2 || how.proposals <= 0) return;
  Proposer proposer(state, seed);
  const double scale = static_cast<double>(problem.top_k) / problem.tokens->experts();
  const double start_cost = state.cost();
  const auto start = state.instance_lists();
  const double cooling = std::pow(how.cold / how.hot, 1.0 / static_cast<double>(how.proposals));
  double temperature = how.hot * scale;
  Change a, b;
  bool two = false;
  for (std::int64_t i = 0; i < how.proposals; ++i, temperature *= cooling) {
    if (!proposer.propose(a, b, two)) continue;
    const double delta = two ? state.delta(a, b) : state.delta(a);
    if (delta > 0 && proposer.uniform() >= std::exp(-delta / temperature)) continue;
    state.apply(a);
    if (two) state.apply(b);
  }
  if (state.cost() > start_cost) state = VisitState(problem, start);
}

Change best_addition(const VisitState& state) {
  const VisitProblem& problem = state.problem();
  Change best{-1, -1, -1, 0};
  double least = std::numeric_limits<double>::infinity();
  for (int e = 0; e < problem.tokens->experts(); ++e)
    for (int place = 0; place < problem.places; ++place) {
      if (state.holds(e, place) ||
          state.experts_on(place) >= problem.max_experts[static_cast<std::size_t>(place)])
        continue;
      const Change change{e, place, -1, state.main(e)};
      const double delta = state.delta(change);
      if (delta < least) least = delta, best = change;
    }
  return best;
}

Change cheapest_removal(const VisitState& state) {
  const VisitProblem& problem = state.problem();
  Change best{-1, -1, -1, 0};
  double least = std::numeric_limits<double>::infinity();
  for (int e = 0; e < problem.tokens->experts(); ++e) {
    if (state.instances(e) < 2) continue;
    for (int place = 0; place < problem.places; ++place) {
      if (!state.holds(e, place)) continue;
      Change change{e, -1, place, state.main(e)};
      for (int other = 0; change.main == place && other < problem.places; ++other)
        if (other != place && state.holds(e, other)) change.main = other;
      const double delta = state.delta(change);
      if (delta < least) least = delta, best = change;
    }
  }
  return best;
}

void add_copies(VisitState& state, int copies) {
  while (state.copies() < copies) {
    const Change change = best_addition(state);
    if (change.expert < 0) return;
    state.apply(change);
  }
}

}  // namespace gracemoe
