#include "planner/grace_plus.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <numeric>

#include "base/error.h"
#include "base/hash.h"
#include "base/progress.h"
#include "planner/expected_load.h"
#include "planner/layer_curve.h"
#include "planner/parallel.h"
#include "planner/plan_packing.h"

namespace gracemoe {
namespace {

constexpr std::int64_t kMostTokens = 65'536;  // searched a layer; more are sampled evenly
// One layer's counters: [streams, places, places] pairs of about (2 + digits) bits a token.
constexpr double kMostCounterBytes = 8e6;
// Proposals in all by default: about 1 us each at 35,000 tokens on 2 nodes.
constexpr double kWorkBudget = 5e6;

// Tokens a layer that keep the counters small.
std::int64_t token_limit(const RoutingTrace& trace, int places) {
  const double pairs = static_cast<double>(places) * places;
  const double bits = 2.0 + std::ceil(std::log2(trace.top_k + 1.0));
  const double limit = kMostCounterBytes * 8 / (pairs * bits);
  return static_cast<std::int64_t>(std::clamp(limit, 512.0, static_cast<double>(kMostTokens)));
}

// What each asks for, dealt one by one in turn until `most` are gone.
std::vector<int> dealt(const std::vector<int>& asked, int most) {
  std::vector<int> given(asked.size());
  for (bool any = true; any;) {
    any = false;
    for (std::size_t i = 0; i < asked.size() && most > 0; ++i)
      if (given[i] < asked[i]) ++given[i], --most, any = true;
  }
  return given;
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
  }

  GracePlusResult run() {
    estimate_loads();
    search_curves();
    choose();
    refine();
    spend_rest();
    GracePlusResult result;
    result.layers = std::move(layers_);
    if (moves_.from == nullptr && cluster_.alike) even_out_devices(result.layers, cluster_);
    keep_device_limits(result.layers);
    for (int l = 0; l < trace_.layers; ++l) finish(result.layers[static_cast<std::size_t>(l)], l);
    result.memory_curve = memory_curve();
    return result;
  }

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
    return 1 + std::max(room / 3, room - 0.55 * drift_);
  }

  // With few layers, one layer's uneven devices are not evened out by the others.
  void limit_layers() {
    const bool few = trace_.layers < 4;
    const double fair = std::ceil(options_.memory_budget * experts() /
                                      static_cast<double>(cluster_.max_experts.size()) -
                                  1e-9);
    for (std::size_t d = 0; d < cluster_.max_experts.size(); ++d) {
      const double limit = cluster_.max_copies[d];
      double most = cluster_.max_experts[d];
      if (options_.same_slots || (few && cluster_.alike && std::isinf(limit)))
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
    const double proposals = kWorkBudget * options_.effort / (runs * trace_.layers * cost);
    Annealing how;
    how.proposals =
        late()
            ? 0
            : static_cast<std::int64_t>(std::clamp(proposals, 100.0, 2000.0 * experts()) * parts);
    return how;
  }
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
      const VisitProblem p = problem(tokens, layer, candidate.bound);
      VisitState state(p, candidate.places);
      Annealing how = annealing(4);
      how.hot /= moves_.from != nullptr ? 10 : 4;
      const std::uint64_t seed = hash_combine(options_.seed + 1, l);
      anneal(state, how, seed);
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

  std::vector<MemoryPoint> memory_curve() const {
    std::vector<MemoryPoint> curve;
    if (options_.same_slots) return curve;
    for (int tenths = 0; tenths <= 10; ++tenths) {
      const double extra = tenths / 10.0;
      const auto picks =
          chosen(static_cast<int>(std::floor(extra * experts() * trace_.layers + 1e-9)));
      MemoryPoint point;
      int copies = 0;
      for (std::size_t l = 0; l < picks.size(); ++l) {
        const LayerCandidate& c = curves_[l][static_cast<std::size_t>(picks[l])];
        point.nodes_visited += c.visits / trace_.layers;
        point.load_max_over_mean += c.device_ratio / trace_.layers;
        copies += c.option.copies;
      }
      point.extra_memory = copies / (static_cast<double>(experts()) * trace_.layers);
      if (curve.empty() || point.extra_memory > curve.back().extra_memory) curve.push_back(point);
    }
    return curve;
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
  return Planner(trace, cluster, start, options, moves).run();
}

}  // namespace gracemoe
