#include "planner/grace_plus.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "planner/even_devices.h"
#include "planner/expected_load.h"
#include "planner/layer_budget.h"
#include "planner/layer_curve.h"
#include "planner/parallel.h"
#include "planner/plan_packing.h"
#include "planner/settings.h"
#include "planner/settle_devices.h"

namespace gracemoe {
namespace {

constexpr std::int64_t kMostTokens = 65'536;  // searched a layer; more are sampled evenly
// One layer's counters: [streams, places, places] pairs of about (2 + digits) bits a token.
constexpr double kMostCounterBytes = 8e6;
// Proposals in all by default: about 1 us each at 35,000 tokens on 2 nodes. More than that learns
// the text by heart: with 5e6 plans kept their bound less often on text that they had not seen.
constexpr double kWorkBudget = 3e6;
// The option that a layer gets is searched on so many times, each this much longer than it was.
constexpr std::uint64_t kRefinements = 4;
constexpr double kRefining = 6;

// Tokens a layer that keep the counters small.
std::int64_t token_limit(const RoutingTrace& trace, int places) {
  const double pairs = static_cast<double>(places) * places;
  const double bits = 2.0 + std::ceil(std::log2(trace.top_k + 1.0));
  const double limit = kMostCounterBytes * 8 / (pairs * bits);
  return static_cast<std::int64_t>(std::clamp(limit, 512.0, static_cast<double>(kMostTokens)));
}

// Copies over all layers that budget and memory allow. Error (kInput) where memory does not even
// hold every expert once.
int copies_allowed(const RoutingTrace& trace, const SearchCluster& cluster, double memory_budget) {
  const double each = static_cast<double>(trace.num_experts) * trace.layers;
  double room = 0;
  for (const double limit : cluster.max_copies) room += std::floor(limit);
  if (room < each)
    fail_input({"memory of the devices", std::to_string(std::llround(room)) + " experts in all",
                "at least " + std::to_string(std::llround(each)) + ", one of each",
                "more devices, or more memory"});
  const double everywhere = each * (cluster.topology.devices() - 1);
  return static_cast<int>(
      std::min({std::floor((memory_budget - 1) * each + 1e-9), room - each, everywhere}));
}

class Planner {
 public:
  Planner(const RoutingTrace& trace, const SearchCluster& cluster, const Plan& start,
          const GracePlusOptions& options, const MoveCost& moves)
      : trace_(trace),
        cluster_(cluster),
        start_(start),
        options_(options),
        moves_(moves),
        token_limit_(token_limit(trace, cluster.places())),
        budget_(copies_allowed(trace, cluster, options.memory_budget)) {
    limit_layers();
    if (options_.same_slots)
      budget_ = trace.layers * (slots_a_device() * cluster.topology.devices() - experts());
  }

  GracePlusResult run() {
    estimate_loads();
    search_curves();
    choose();
    refine();
    spend_rest();
    settle_for_balance();
    if (options_.same_slots)
      for (int l = 0; l < trace_.layers; ++l)
        fill_slots(layers_[static_cast<std::size_t>(l)], slots_a_device(), bits(l), cluster_);
    GracePlusResult result;
    result.layers = std::move(layers_);
    if (moves_.from == nullptr && cluster_.alike) even_out_devices(result.layers, cluster_);
    keep_device_limits(result.layers);
    settle_again(result.layers);
    for (int l = 0; l < trace_.layers; ++l) finish(result.layers[static_cast<std::size_t>(l)], l);
    if (!evenly_limited()) result.at_budgets = at_budgets();
    return result;
  }

  // run()'s at_budgets without the rest.
  std::vector<std::vector<LayerPlan>> curve_alone() {
    estimate_loads();
    search_curves();
    return at_budgets();
  }
  // Whether no layer is searched beyond its devices' equal shares.
  bool evenly_limited() const { return options_.same_slots || few_layers(); }

 private:
  int experts() const { return trace_.num_experts; }
  bool late() const {
    return options_.deadline && std::chrono::steady_clock::now() > *options_.deadline;
  }
  TokenBits bits(int layer) const { return layer_bits(trace_, layer, token_limit_); }
  SearchGoal goal(double bound) const {
    return {bound, options_.imbalance_cost, options_.step_tokens};
  }
  // Room is kept for text that the trace does not foretell: other topics, other users.
  double inner_bound() const {
    const double room = options_.balance_bound - 1;
    return 1 + std::max(0.4 * room, room - 0.45 * drift_);
  }

  // With same_slots: what the budget gives each device in whole slots, at least one of each expert.
  int slots_a_device() const {
    const int devices = cluster_.topology.devices();
    double budget = options_.memory_budget;
    for (const double copies : cluster_.max_copies)
      if (cluster_.must_fit)
        budget = std::min(budget, copies / trace_.layers * devices / experts());
    return gracemoe::slots_a_device(experts(), devices, budget);
  }

  // With few layers, one layer's uneven devices are not evened out by the others.
  bool few_layers() const { return trace_.layers < 4; }
  void limit_layers() {
    const bool few = few_layers();
    const double fair = std::ceil(options_.memory_budget * experts() /
                                      static_cast<double>(cluster_.max_experts.size()) -
                                  1e-9);
    for (std::size_t d = 0; d < cluster_.max_experts.size(); ++d) {
      const double limit = cluster_.max_copies[d];
      double most = cluster_.max_experts[d];
      if (options_.same_slots)
        most = std::min<double>(most, slots_a_device());
      else if (few && cluster_.alike && std::isinf(limit))
        most = std::min(most, fair);
      if (few || !cluster_.alike) most = std::min(most, std::ceil(limit / trace_.layers));
      cluster_.max_experts[d] = static_cast<int>(most);
    }
  }

  VisitProblem problem(const TokenBits& tokens, int layer, double bound) const {
    std::vector<double> presence;
    if (moves_.from != nullptr)
      presence =
          arrival_costs(places_of(moves_.from->layers[static_cast<std::size_t>(layer)], cluster_),
                        cluster_, moves_.per_instance);
    return place_problem(tokens, trace_.top_k, cluster_, goal(bound), std::move(presence));
  }

  void for_layers(const char* title, const std::function<void(int)>& body) const {
    ProgressBar progress(title, "layers", trace_.layers, options_.quiet);
    std::mutex mutex;
    std::int64_t done = 0;
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      body(layer);
      const std::lock_guard lock(mutex);
      progress.update(++done);
    });
  }

  // What new text does to a balanced layer; and what no placement balances without copies inside a
  // node, experts hotter than a device's share.
  void estimate_loads() {
    std::vector<double> drift(static_cast<std::size_t>(trace_.layers));
    relief_.assign(static_cast<std::size_t>(trace_.layers), 0);
    for_layers("plan: loads", [&](int layer) {
      const TokenBits all = bits(layer);
      const VisitProblem p = problem(all, layer, options_.balance_bound);
      const VisitState state(p, pack_places(p));
      LayerPlan packed = pack_devices(state, cluster_);
      drift[static_cast<std::size_t>(layer)] = device_drift(packed, all, cluster_);
      relief_[static_cast<std::size_t>(layer)] =
          relieve(packed, all, trace_.top_k, cluster_, goal(options_.balance_bound),
                  4 * cluster_.topology.devices());
      if (moves_.from != nullptr) {
        int& copies = relief_[static_cast<std::size_t>(layer)];
        copies = std::max(copies, copies_inside(layer));
      }
    });
    drift_ = std::accumulate(drift.begin(), drift.end(), 0.0) / trace_.layers;
  }

  // Copies that the old plan has beside others of the same expert and place.
  int copies_inside(int layer) const {
    const LayerPlan& old = moves_.from->layers[static_cast<std::size_t>(layer)];
    int copies = copies_of(old) + experts();
    for (const auto& places : places_of(old, cluster_)) copies -= static_cast<int>(places.size());
    return copies;
  }

  Annealing annealing(double parts) const {
    const double runs = 2.0 * static_cast<double>(ladder_size()) + 8;
    const double places = cluster_.places();
    const double cost = 0.2 + 0.8 * places / 2 *
                                  static_cast<double>(std::min(token_limit_, trace_.tokens())) /
                                  35'000;
    const double all = kWorkBudget * options_.effort / trace_.layers / cost;
    const double proposals = (all - std::min(greedy_steps(), 0.6 * all)) / runs;
    Annealing how;
    how.proposals =
        late()
            ? 0
            : static_cast<std::int64_t>(std::clamp(proposals, 100.0, 2000.0 * experts()) * parts);
    return how;
  }
  // A layer's copies are first added one by one, each the best of all: proposals in all but name.
  double greedy_steps() const { return 2.0 * most_copies() * experts() * (cluster_.places() - 1); }
  std::size_t ladder_size() const {
    return copy_ladder(experts(), cluster_.places(), most_copies()).size();
  }
  // Of one layer: enough for the memory curve's 100%, and for a layer that gets others' share.
  int most_copies() const {
    if (options_.same_slots) return budget_ / trace_.layers;
    const double most = std::max<double>(experts(), 4.0 * budget_ / trace_.layers);
    return static_cast<int>(std::min(most, 1e9));
  }

  void search_curves() {
    curves_.resize(static_cast<std::size_t>(trace_.layers));
    for_layers("plan: copies", [&](int layer) {
      const TokenBits tokens = bits(layer);
      auto& curve = curves_[static_cast<std::size_t>(layer)];
      for (const double bound : {inner_bound(), options_.balance_bound}) {
        const VisitProblem p = problem(tokens, layer, bound);
        for (LayerCandidate& c : layer_curve(p, layer)) curve.push_back(std::move(c));
      }
    });
  }

  std::vector<LayerCandidate> layer_curve(const VisitProblem& p, int layer) const {
    const LayerPlan& start = start_.layers[static_cast<std::size_t>(layer)];
    CurveSearch search{copy_ladder(experts(), p.places, most_copies()), annealing(1),
                       hash_combine(options_.seed, static_cast<std::uint64_t>(layer))};
    const PlaceLists begin = within_room(p, places_of(start, cluster_));
    if (moves_.from != nullptr) {
      search.annealing.hot /= 10;
      return search_around(p, begin, cluster_, search);
    }
    std::vector<LayerCandidate> curve = search_curve(p, {begin, pack_places(p)}, cluster_, search);
    if (!options_.same_slots) curve.push_back(candidate_of(VisitState(p, begin), cluster_));
    return curve;
  }

  std::vector<int> chosen(int budget) const {
    std::vector<std::vector<LayerOption>> options;
    for (const auto& curve : curves_) {
      options.emplace_back();
      for (const LayerCandidate& c : curve) options.back().push_back(c.option);
    }
    // A bound that no choice keeps would decide everything: as near as can be is meant then.
    double least = 0;
    for (const auto& layer : options) {
      double ratio = layer.front().max_over_mean;
      for (const LayerOption& option : layer) ratio = std::min(ratio, option.max_over_mean);
      least += ratio / trace_.layers;
    }
    return choose_options(options, budget, std::max(inner_bound(), least + 0.01));
  }

  void choose() {
    // Copies inside nodes, for what no placement balances, come first: they keep the bound.
    relief_ = dealt(relief_, budget_ / 2);
    const std::vector<int> picks =
        chosen(budget_ - std::accumulate(relief_.begin(), relief_.end(), 0));
    for (std::size_t l = 0; l < curves_.size(); ++l)
      picked_.push_back(curves_[l][static_cast<std::size_t>(picks[l])]);
  }

  void refine() {
    layers_.resize(curves_.size());
    for_layers("plan: devices", [&](int layer) {
      const auto l = static_cast<std::size_t>(layer);
      const TokenBits tokens = bits(layer);
      const LayerCandidate& candidate = picked_[l];
      // The mean over layers was chosen with this one's imbalance, not with what its bound allows.
      const VisitProblem p = problem(
          tokens, layer,
          std::min(candidate.bound, std::max(inner_bound(), candidate.option.max_over_mean)));
      const VisitState state = refined(VisitState(p, candidate.places), layer);
      place_on_devices(state, layer, relief_[l]);
    });
  }

  void place_on_devices(const VisitState& state, int layer, int relief) {
    const auto l = static_cast<std::size_t>(layer);
    const SearchGoal how = goal(options_.balance_bound);
    const LayerPlan* keep = moves_.from != nullptr ? &moves_.from->layers[l] : nullptr;
    layers_[l] = search_devices(state, cluster_, how, annealing(4),
                                hash_combine(options_.seed + 2, l), keep, moves_.inside_node);
    if (keep != nullptr) relief -= keep_copies(layers_[l], *keep, cluster_, relief);
    relieve(layers_[l], *state.problem().tokens, trace_.top_k, cluster_, how, relief,
            moves_.inside_node);
    settle(layers_[l], layer, cluster_);
  }

  // The best of several searches that begin at the state.
  VisitState refined(const VisitState& state, int layer) const {
    const bool near = moves_.from != nullptr;
    Annealing how = annealing(near ? 4 : kRefining);
    how.hot /= near ? 10 : 2;
    VisitState best = state;
    for (std::uint64_t i = 0; i < (near ? std::uint64_t{1} : kRefinements); ++i) {
      VisitState trial = state;
      anneal(trial, how,
             hash_combine(options_.seed + 1 + 1000 * i, static_cast<std::uint64_t>(layer)));
      if (trial.cost() < best.cost()) best = std::move(trial);
    }
    return best;
  }

  // Devices evener on texts like this one, with the experts of every node as they are. Where a plan
  // should stay near an old one, nothing moves for that.
  void settle(LayerPlan& layer, int index, const SearchCluster& cluster) const {
    if (moves_.from != nullptr || !cluster_.by_node() || late()) return;
    const std::int64_t proposals =
        8 * std::min<std::int64_t>(160 * experts(), 80'000 / cluster_.topology.devices());
    const DrawnLoads texts(trace_, index, token_limit_, cluster_.node_share());
    settle_devices(layer, texts, trace_.top_k, cluster, options_.step_tokens, proposals,
                   hash_combine(options_.seed + 3, static_cast<std::uint64_t>(index)));
  }

  // Limits over all layers have moved experts. Exchanges alone, which keep those limits.
  void settle_again(std::vector<LayerPlan>& layers) const {
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      LayerPlan& plan = layers[static_cast<std::size_t>(layer)];
      SearchCluster full = cluster_;
      std::fill(full.max_experts.begin(), full.max_experts.end(), 0);
      for (const auto& instances : plan.experts)
        for (const Instance& i : instances) ++full.max_experts[static_cast<std::size_t>(i.device)];
      settle(plan, layer, full);
    });
  }

  // Copies left over (rounding, relief that was not needed) go one by one to where they save most.
  void spend_rest() {
    const int rest = budget_ - copies_of(layers_);
    if (rest <= 0) return;
    const int most_a_layer = options_.same_slots ? budget_ / trace_.layers : budget_;
    std::vector<std::vector<ExtraCopy>> extras(layers_.size());
    const int most = std::min(rest, 4 * (rest / trace_.layers + 1));
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      const auto l = static_cast<std::size_t>(layer);
      const int room = most_a_layer - copies_of(layers_[l]);
      const TokenBits tokens = bits(layer);
      const VisitProblem p = problem(tokens, layer, options_.balance_bound);
      VisitState state(p, places_of(layers_[l], cluster_));
      for (int i = 0; i < std::min(most, room); ++i) {
        const double before = state.cost();
        const Change change = best_addition(state);
        if (change.expert < 0) break;
        state.apply(change);
        extras[l].push_back({before - state.cost(), change});
      }
    });
    const std::vector<int> taken = take_extras(extras, rest);
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      const auto l = static_cast<std::size_t>(layer);
      if (taken[l] == 0) return;
      const TokenBits tokens = bits(layer);
      const VisitProblem p = problem(tokens, layer, options_.balance_bound);
      const PlaceLists places = places_of(layers_[l], cluster_);
      VisitState state(p, places);
      const int relief = copies_of(layers_[l]) - state.copies();
      for (int i = 0; i < taken[l]; ++i) state.apply(extras[l][static_cast<std::size_t>(i)].change);
      place_on_devices(state, layer, relief);
    });
  }

  // Where no search of few visits keeps the bound, copies and places chosen for balance alone may:
  // taken for the layers where that costs less, the excess counted.
  void settle_for_balance() {
    if (moves_.from != nullptr || late()) return;
    const int rest = std::max(0, budget_ - copies_of(layers_)) / trace_.layers;
    std::vector<double> ratio(layers_.size());
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      const auto l = static_cast<std::size_t>(layer);
      ratio[l] = imbalance(layers_[l], bits(layer));
    });
    const double sum = std::accumulate(ratio.begin(), ratio.end(), 0.0);
    if (sum <= options_.balance_bound * trace_.layers) return;
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      LayerPlan& plan = layers_[static_cast<std::size_t>(layer)];
      if (ratio[static_cast<std::size_t>(layer)] <= options_.balance_bound) return;
      const TokenBits tokens = bits(layer);
      LayerPlan balanced = balanced_layer(tokens.load(), copies_of(plan) + rest, cluster_);
      if (!balanced.experts.empty() &&
          cost_on_devices(balanced, tokens, layer) < cost_on_devices(plan, tokens, layer))
        plan = std::move(balanced);
    });
  }

  double imbalance(const LayerPlan& plan, const TokenBits& tokens) const {
    return device_imbalance(plan, tokens, trace_.top_k, cluster_, options_.step_tokens);
  }

  // Visits, and the excess over the bound in visits.
  double cost_on_devices(const LayerPlan& plan, const TokenBits& tokens, int layer) const {
    const VisitProblem p = problem(tokens, layer, options_.balance_bound);
    return VisitState(p, places_of(plan, cluster_)).visits() +
           kOverBound * std::max(0.0, imbalance(plan, tokens) - options_.balance_bound);
  }

  void keep_device_limits(std::vector<LayerPlan>& layers) const {
    const std::vector<char> full = overfull_devices(layers, cluster_);
    if (std::find(full.begin(), full.end(), 1) == full.end()) return;
    std::vector<std::vector<Departure>> departures(layers.size());
    parallel_for(trace_.layers, options_.threads, [&](int layer) {
      const auto l = static_cast<std::size_t>(layer);
      const TokenBits tokens = bits(layer);
      const VisitProblem p = problem(tokens, layer, options_.balance_bound);
      const VisitState state(p, places_of(layers[l], cluster_));
      departures[l] = departures_from(layers[l], state, cluster_, full);
    });
    fit_devices(layers, cluster_, departures);
  }

  void finish(LayerPlan& layer, int index) const {
    const TokenBits tokens = bits(index);
    layer.predicted_load = expected_load(layer, tokens.load(), cluster_.topology);
    layer.skew = *std::max_element(layer.predicted_load.begin(), layer.predicted_load.end()) *
                 static_cast<double>(layer.predicted_load.size());
    std::size_t instances = 1;
    for (const auto& list : layer.experts) instances = std::max(instances, list.size());
    layer.replicas = static_cast<int>(instances) - 1;
  }

  std::vector<std::vector<LayerPlan>> at_budgets() const {
    std::vector<std::vector<LayerPlan>> plans;
    for (int tenths = 0; tenths <= 10; ++tenths) {
      const auto picks =
          chosen(static_cast<int>(std::floor(tenths / 10.0 * experts() * trace_.layers + 1e-9)));
      std::vector<LayerPlan> layers;
      for (std::size_t l = 0; l < picks.size(); ++l)
        layers.push_back(curves_[l][static_cast<std::size_t>(picks[l])].layer);
      if (plans.empty() || copies_of(layers) > copies_of(plans.back()))
        plans.push_back(std::move(layers));
    }
    return plans;
  }

  const RoutingTrace& trace_;
  SearchCluster cluster_;
  const Plan& start_;
  const GracePlusOptions& options_;
  const MoveCost& moves_;
  std::int64_t token_limit_;
  int budget_;
  double drift_ = 0;
  std::vector<int> relief_;                          // [layers] copies for balance alone
  std::vector<std::vector<LayerCandidate>> curves_;  // [layers]
  std::vector<LayerCandidate> picked_;               // [layers]
  std::vector<LayerPlan> layers_;
};

// Plans for other budgets where this one's limits keep the search to itself: searched without
// those, quickly.
std::vector<std::vector<LayerPlan>> curve_beyond(const RoutingTrace& trace, SearchCluster cluster,
                                                 const Plan& start, GracePlusOptions options,
                                                 const MoveCost& moves) {
  options.same_slots = false;
  options.memory_budget = std::max(2.0, options.memory_budget);
  options.effort *= 0.3;
  if (!cluster.must_fit)
    std::fill(cluster.max_copies.begin(), cluster.max_copies.end(),
              std::numeric_limits<double>::infinity());
  return Planner(trace, cluster, start, options, moves).curve_alone();
}

}  // namespace

GracePlusResult grace_plus(const RoutingTrace& trace, const SearchCluster& cluster,
                           const Plan& start, const GracePlusOptions& options,
                           const MoveCost& moves) {
  GM_CHECK(start.layers.size() == static_cast<std::size_t>(trace.layers),
           "grace+: the start is of another shape");
  GM_CHECK(options.memory_budget >= 1, "grace+: a memory budget below 1");
  copies_allowed(trace, cluster, options.memory_budget);  // whatever becomes of the plan
  if (trace.tokens() == 0 || cluster.topology.devices() == 1)
    return {(moves.from != nullptr ? *moves.from : start).layers, {}};
  Planner planner(trace, cluster, start, options, moves);
  GracePlusResult result = planner.run();
  if (planner.evenly_limited())
    result.at_budgets = curve_beyond(trace, cluster, start, options, moves);
  return result;
}

}  // namespace gracemoe
