#include "planner/layer_curve.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <numeric>

#include "base/hash.h"

namespace gracemoe {

std::vector<int> copy_ladder(int experts, int places, int most) {
  const std::int64_t full = std::int64_t{experts} * (places - 1);
  std::vector<int> ladder;
  for (std::int64_t sixteenths = 0;; sixteenths += sixteenths < 16 ? 1 : sixteenths / 4) {
    const std::int64_t copies = std::min(full, sixteenths * experts / 16);
    if (copies > most) break;
    if (ladder.empty() || copies > ladder.back()) ladder.push_back(static_cast<int>(copies));
    if (copies == full) break;
  }
  if (ladder.back() < std::min<std::int64_t>(full, most))
    ladder.push_back(static_cast<int>(std::min<std::int64_t>(full, most)));
  return ladder;
}

PlaceLists pack_places(const VisitProblem& problem) {
  const auto load = problem.tokens->load();
  std::vector<int> order(load.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) {
    return load[static_cast<std::size_t>(a)] > load[static_cast<std::size_t>(b)];
  });
  std::vector<double> done(problem.capacity.size());
  std::vector<int> room = problem.max_experts;
  PlaceLists places(load.size());
  for (const int e : order) {
    const double work = load[static_cast<std::size_t>(e)];
    std::size_t best = done.size();
    for (std::size_t p = 0; p < done.size(); ++p)
      if (room[p] > 0 && (best == done.size() || (done[p] + work) / problem.capacity[p] <
                                                     (done[best] + work) / problem.capacity[best]))
        best = p;
    if (best == done.size()) best = 0;
    --room[best];
    done[best] += work;
    places[static_cast<std::size_t>(e)] = {static_cast<int>(best)};
  }
  return places;
}

namespace {

// The instance that leaves the place for another (or, if it is a copy, for none) at the least cost;
// expert -1 if none can.
Change cheapest_departure(const VisitState& state, int place) {
  const VisitProblem& problem = state.problem();
  Change best{-1, -1, -1, 0};
  double least = std::numeric_limits<double>::infinity();
  const auto consider = [&](const Change& change) {
    const double delta = state.delta(change);
    if (delta < least) least = delta, best = change;
  };
  for (int e = 0; e < problem.tokens->experts(); ++e) {
    if (!state.holds(e, place)) continue;
    const bool is_main = state.main(e) == place;
    for (int to = 0; to < problem.places; ++to) {
      if (to == place) continue;
      if (state.holds(e, to))
        consider({e, -1, place, is_main ? to : state.main(e)});
      else if (state.experts_on(to) < problem.max_experts[static_cast<std::size_t>(to)])
        consider({e, to, place, is_main ? to : state.main(e)});
    }
  }
  return best;
}

}  // namespace

PlaceLists within_room(const VisitProblem& problem, PlaceLists lists) {
  std::vector<int> held(problem.max_experts.size());
  for (const auto& list : lists)
    for (const int place : list) ++held[static_cast<std::size_t>(place)];
  if (std::equal(held.begin(), held.end(), problem.max_experts.begin(), std::less_equal<>()))
    return lists;
  VisitState state(problem, lists);
  for (int place = 0; place < problem.places; ++place)
    while (state.experts_on(place) > problem.max_experts[static_cast<std::size_t>(place)]) {
      const Change change = cheapest_departure(state, place);
      if (change.expert < 0) break;
      state.apply(change);
    }
  return state.instance_lists();
}

PlaceLists places_of(const LayerPlan& layer, const SearchCluster& cluster) {
  PlaceLists places;
  for (const auto& instances : layer.experts) {
    std::vector<int> list;
    for (const Instance& i : instances) {
      const int place = cluster.place_of(i.device);
      if (std::find(list.begin(), list.end(), place) == list.end()) list.push_back(place);
    }
    places.push_back(std::move(list));
  }
  return places;
}

LayerCandidate candidate_of(const VisitState& state, const SearchCluster& cluster) {
  const VisitProblem& p = state.problem();
  LayerCandidate candidate;
  candidate.places = state.instance_lists();
  candidate.visits = std::max(0.0, state.visits());  // sums of differences may end at -1e-17
  candidate.bound = p.balance_bound;
  candidate.option.copies = state.copies();
  candidate.layer = pack_devices(state, cluster);
  candidate.device_ratio =
      device_imbalance(candidate.layer, *p.tokens, p.top_k, cluster, p.step_tokens);
  candidate.option.max_over_mean = std::max(state.max_over_mean(), candidate.device_ratio);
  candidate.option.cost =
      state.cost() - kOverBound * std::max(0.0, state.max_over_mean() - p.balance_bound);
  return candidate;
}

std::vector<LayerCandidate> search_curve(const VisitProblem& problem,
                                         const std::vector<PlaceLists>& starts,
                                         const SearchCluster& cluster, const CurveSearch& search) {
  std::vector<VisitState> best;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    PlaceLists main_only = starts[i];
    for (auto& list : main_only) list.resize(1);
    VisitState state(problem, within_room(problem, main_only));
    anneal(state, search.annealing, hash_combine(search.seed, i));
    if (best.empty())
      best.push_back(std::move(state));
    else if (state.cost() < best.front().cost())
      best.front() = std::move(state);
  }
  VisitState& state = best.front();
  std::vector<LayerCandidate> curve;
  for (const int copies : search.ladder) {
    if (copies > 0) {
      add_copies(state, copies);
      anneal(state, search.annealing,
             hash_combine(search.seed, starts.size() + static_cast<std::size_t>(copies)));
    }
    curve.push_back(candidate_of(state, cluster));
  }
  return curve;
}

std::vector<LayerCandidate> search_around(const VisitProblem& problem, const PlaceLists& start,
                                          const SearchCluster& cluster, const CurveSearch& search) {
  std::vector<LayerCandidate> curve{candidate_of(VisitState(problem, start), cluster)};
  for (const int copies : search.ladder) {
    VisitState state(problem, start);
    add_copies(state, copies);
    while (state.copies() > copies) {
      const Change change = cheapest_removal(state);
      if (change.expert < 0) break;
      state.apply(change);
    }
    anneal(state, search.annealing, hash_combine(search.seed, static_cast<std::uint64_t>(copies)));
    curve.push_back(candidate_of(state, cluster));
  }
  return curve;
}

}  // namespace gracemoe
