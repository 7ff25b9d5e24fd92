#include "planner/layer_curve.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <limits>
#include <numeric>

#include "base/hash.h"
#include "planner/device_work.h"

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

namespace {

// Copies to try inside nodes, beyond which one more is worth less than this.
constexpr double kLeastRelief = 0.001;

}  // namespace

std::vector<LayerCandidate> candidates_of(const VisitState& state, const SearchCluster& cluster,
                                          std::uint64_t seed) {
  const VisitProblem& p = state.problem();
  LayerCandidate candidate;
  candidate.places = state.instance_lists();
  candidate.visits = std::max(0.0, state.visits());  // sums of differences may end at -1e-17
  candidate.bound = p.balance_bound;
  candidate.seed = seed;
  LayerPlan layer = balance_devices(state, cluster, seed);
  const SearchGoal evenly{1, p.imbalance_cost, p.step_tokens};
  std::vector<LayerCandidate> found;
  int relief = 0;
  for (int step = 1;; step += step / 4) {
    const double ratio = device_imbalance(layer, *p.tokens, p.top_k, cluster, p.step_tokens);
    if (!found.empty() &&
        found.back().option.max_over_mean - ratio < kLeastRelief * (relief - found.back().relief))
      break;
    if (found.empty()) candidate.even = ratio;
    candidate.relief = relief;
    candidate.option = {state.copies() + relief,
                        candidate.visits + state.presence() + p.imbalance_cost * ratio, ratio};
    found.push_back(candidate);
    if (!cluster.by_node() || relief >= 4 * cluster.topology.devices()) break;
    relief += relieve(layer, *p.tokens, p.top_k, cluster, evenly, step);
    if (relief == found.back().relief) break;
  }
  return found;
}

LayerPlan layer_of(const LayerCandidate& candidate, const VisitProblem& problem,
                   const SearchCluster& cluster) {
  LayerPlan layer = balance_devices(VisitState(problem, candidate.places), cluster, candidate.seed);
  const SearchGoal evenly{1, problem.imbalance_cost, problem.step_tokens};
  relieve(layer, *problem.tokens, problem.top_k, cluster, evenly, candidate.relief);
  return layer;
}

namespace {

void append(std::vector<LayerCandidate>& curve, std::vector<LayerCandidate> more) {
  std::move(more.begin(), more.end(), std::back_inserter(curve));
}

}  // namespace

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
    append(curve, candidates_of(state, cluster, search.seed));
  }
  return curve;
}

std::vector<LayerCandidate> search_around(const VisitProblem& problem, const PlaceLists& start,
                                          const SearchCluster& cluster, const CurveSearch& search) {
  std::vector<LayerCandidate> curve =
      candidates_of(VisitState(problem, start), cluster, search.seed);
  for (const int copies : search.ladder) {
    VisitState state(problem, start);
    add_copies(state, copies);
    while (state.copies() > copies) {
      const Change change = cheapest_removal(state);
      if (change.expert < 0) break;
      state.apply(change);
    }
    anneal(state, search.annealing, hash_combine(search.seed, static_cast<std::uint64_t>(copies)));
    append(curve, candidates_of(state, cluster, search.seed));
  }
  return curve;
}

void keep_best(std::vector<LayerCandidate>& curve) {
  std::vector<char> beaten(curve.size());
  for (std::size_t i = 0; i < curve.size(); ++i)
    for (std::size_t j = 0; j < curve.size() && beaten[i] == 0; ++j) {
      const LayerOption &a = curve[i].option, &b = curve[j].option;
      const bool as_good =
          b.copies <= a.copies && b.cost <= a.cost && b.max_over_mean <= a.max_over_mean;
      const bool equal =
          as_good && a.copies <= b.copies && a.cost <= b.cost && a.max_over_mean <= b.max_over_mean;
      beaten[i] = as_good && (!equal || j < i) ? 1 : 0;
    }
  std::size_t kept = 0;
  for (std::size_t i = 0; i < curve.size(); ++i)
    if (beaten[i] == 0) {
      if (kept != i) curve[kept] = std::move(curve[i]);
      ++kept;
    }
  curve.resize(kept);
}

}  // namespace gracemoe
