#include "planner/device_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/hash.h"
#include "planner/expected_load.h"

namespace gracemoe {
namespace {

// What a unit of max / mean is worth in devices visited by every token. Links inside a node are
// fast, so balance comes first; but a search that begins with its price is stuck at once, as every
// exchange disturbs it, so first visits have their say.
constexpr double kFirstImbalanceCost = 3;
constexpr double kDeviceImbalanceCost = 30;

double work_of(double flow, int top_k, double step_tokens) {
  return step_tokens > 0 ? -std::expm1(-flow * step_tokens * top_k) : flow;
}

// Each device's work, and what it means for the capacities.
class DeviceWork {
 public:
  DeviceWork(const TokenBits& tokens, int top_k, const SearchCluster& cluster, double step_tokens)
      : tokens_(tokens),
        top_k_(top_k),
        cluster_(cluster),
        step_tokens_(step_tokens),
        work_(cluster.capacity.size()) {}

  void add(int expert, const std::vector<Instance>& instances, double sign) {
    const std::vector<double> parts = serving_shares(instances, cluster_.topology);
    const double share = tokens_.share(0, expert);
    for (std::size_t d = 0; d < parts.size(); ++d)
      work_[d] += sign * work_of(parts[d] * share, top_k_, step_tokens_);
  }
  void add(const LayerPlan& layer) {
    for (std::size_t e = 0; e < layer.experts.size(); ++e)
      add(static_cast<int>(e), layer.experts[e], 1);
  }

  double ratio(std::size_t d) const { return work_[d] / cluster_.capacity[d]; }
  std::size_t busiest() const {
    std::size_t most = 0;
    for (std::size_t d = 1; d < cluster_.capacity.size(); ++d)
      if (ratio(d) > ratio(most)) most = d;
    return most;
  }
  // 1 where nothing is loaded.
  double max_over_mean() const {
    const double sum = std::accumulate(work_.begin(), work_.end(), 0.0);
    return sum > 0 ? ratio(busiest()) / sum : 1;
  }

 private:
  const TokenBits& tokens_;
  int top_k_;
  const SearchCluster& cluster_;
  double step_tokens_;
  std::vector<double> work_;  // [devices]
};

// Weights that make topology-aware routing serve what the state says: with two places nothing else
// can happen, so the weights tell the expected work; else only the main one serves other places.
double weight_of(const VisitState& state, int expert, int place) {
  if (state.instances(expert) == 1) return 1;
  if (state.problem().places == 2) return std::max(kSideWeight, state.flow(expert, place));
  return state.main(expert) == place ? 1 : kSideWeight;
}

// The node's instances as an expert's list has them: which device of the node serves.
class NodeDevices {
 public:
  NodeDevices(const VisitState& state, const SearchCluster& cluster, int node)
      : state_(state), cluster_(cluster), node_(node) {
    for (int e = 0; e < state.problem().tokens->experts(); ++e)
      if (state.holds(e, node)) experts_.push_back(e);
  }
  const std::vector<int>& experts() const { return experts_; }

  VisitProblem problem(const TokenBits& bits, const SearchGoal& goal) const {
    const Topology& topology = cluster_.topology;
    VisitProblem p;
    p.tokens = &bits;
    p.top_k = state_.problem().top_k;
    p.places = topology.devices_on(node_);
    const auto places = static_cast<std::size_t>(p.places);
    p.visit_cost.assign(places * places, 1);
    for (int g = 0; g < p.places; ++g) {
      const auto d = static_cast<std::size_t>(topology.first_device(node_) + g);
      p.capacity.push_back(cluster_.capacity[d]);
      p.max_experts.push_back(cluster_.max_experts[d]);
    }
    p.step_tokens = goal.step_tokens;
    p.balance_bound = goal.balance_bound;
    p.imbalance_cost = kFirstImbalanceCost;
    for (int from = 0; from < topology.nodes(); ++from) add_stream(p, from);
    return p;
  }

 private:
  // Tokens at home on `from`: those of other nodes arrive at the peer of their home and ask only
  // for what their own node lacks and this one mainly serves.
  void add_stream(VisitProblem& p, int from) const {
    const Topology& topology = cluster_.topology;
    VisitStream stream;
    stream.local = from == node_;
    stream.share.assign(static_cast<std::size_t>(p.places), 0);
    for (int g = 0; g < topology.devices_on(from); ++g) {
      const int home = topology.first_device(from) + g;
      const int arrival = stream.local ? home : topology.peer_on(home, node_);
      stream.share[static_cast<std::size_t>(topology.local_index(arrival))] +=
          1.0 / topology.devices();
    }
    bool any = false;
    for (const int e : experts_) {
      const bool takes = stream.local || (!state_.holds(e, from) && state_.main(e) == node_);
      stream.takes.push_back(takes ? 1 : 0);
      any |= takes;
    }
    if (any) p.streams.push_back(std::move(stream));
  }

  const VisitState& state_;
  const SearchCluster& cluster_;
  int node_;
  std::vector<int> experts_;
};

int& device_on(LayerPlan& layer, int expert, int node, const Topology& topology) {
  auto& instances = layer.experts[static_cast<std::size_t>(expert)];
  const auto at = std::find_if(instances.begin(), instances.end(), [&](const Instance& i) {
    return topology.node_of(i.device) == node;
  });
  return at->device;
}

// The device of the node that the plan has the expert on; -1: none.
int kept_device(const LayerPlan* keep, int expert, int node, const Topology& topology) {
  if (keep == nullptr) return -1;
  for (const Instance& i : keep->experts[static_cast<std::size_t>(expert)])
    if (topology.node_of(i.device) == node) return i.device;
  return -1;
}

void search_node(LayerPlan& layer, const VisitState& state, const SearchCluster& cluster, int node,
                 const SearchGoal& goal, const Annealing& how, std::uint64_t seed,
                 const LayerPlan* keep, double moving) {
  const NodeDevices devices(state, cluster, node);
  if (devices.experts().empty()) return;
  const TokenBits bits = state.problem().tokens->subset(devices.experts());
  VisitProblem problem = devices.problem(bits, goal);
  if (keep != nullptr)
    for (const int e : devices.experts()) {
      const int old = kept_device(keep, e, node, cluster.topology);
      for (int g = 0; g < problem.places; ++g)
        problem.presence_cost.push_back(
            old >= 0 && old != cluster.topology.first_device(node) + g ? moving : 0);
    }
  const Topology& topology = cluster.topology;
  PlaceLists lists;
  for (const int e : devices.experts())
    lists.push_back({topology.local_index(device_on(layer, e, node, topology))});
  VisitState first(problem, lists);
  anneal(first, how, seed);
  problem.imbalance_cost = kDeviceImbalanceCost;
  VisitState inside(problem, first.instance_lists());
  anneal(inside, how, hash_combine(seed, 1));
  for (std::size_t i = 0; i < devices.experts().size(); ++i)
    device_on(layer, devices.experts()[i], node, topology) =
        topology.first_device(node) + inside.main(static_cast<int>(i));
}

// [experts] the device of the place, longest work first.
std::vector<int> pack_place(const VisitState& state, const SearchCluster& cluster, int place,
                            const LayerPlan* keep) {
  const Topology& topology = cluster.topology;
  const int first = topology.first_device(place), count = topology.devices_on(place);
  const VisitProblem& p = state.problem();
  std::vector<int> order, device(static_cast<std::size_t>(p.tokens->experts()), -1);
  for (int e = 0; e < p.tokens->experts(); ++e)
    if (state.holds(e, place)) order.push_back(e);
  const auto work = [&](int e) { return work_of(state.flow(e, place), p.top_k, p.step_tokens); };
  std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return work(a) > work(b); });
  std::vector<double> done(static_cast<std::size_t>(count));
  std::vector<int> room(cluster.max_experts.begin() + first,
                        cluster.max_experts.begin() + first + count);
  const auto put = [&](int e, int g) {
    --room[static_cast<std::size_t>(g)];
    done[static_cast<std::size_t>(g)] += work(e);
    device[static_cast<std::size_t>(e)] = first + g;
  };
  for (const int e : order)
    if (const int old = kept_device(keep, e, place, topology) - first;
        old >= 0 && room[static_cast<std::size_t>(old)] > 0)
      put(e, old);
  for (const int e : order) {
    if (device[static_cast<std::size_t>(e)] >= 0) continue;
    int best = -1;
    const auto ratio = [&](int g) {
      return (done[static_cast<std::size_t>(g)] + work(e)) /
             cluster.capacity[static_cast<std::size_t>(first + g)];
    };
    for (int g = 0; g < count; ++g)
      if (room[static_cast<std::size_t>(g)] > 0 && (best < 0 || ratio(g) < ratio(best))) best = g;
    put(e, std::max(best, 0));  // where none fits, the caller's limits are impossible
  }
  return device;
}

}  // namespace

LayerPlan pack_devices(const VisitState& state, const SearchCluster& cluster,
                       const LayerPlan* keep) {
  const PlaceLists nodes = state.instance_lists();
  LayerPlan layer;
  layer.experts.resize(nodes.size());
  std::vector<std::vector<int>> device;  // [nodes][experts]
  if (cluster.by_node())
    for (int node = 0; node < cluster.topology.nodes(); ++node)
      device.push_back(pack_place(state, cluster, node, keep));
  for (std::size_t e = 0; e < nodes.size(); ++e)
    for (const int place : nodes[e]) {
      const int d = cluster.by_node() ? device[static_cast<std::size_t>(place)][e] : place;
      layer.experts[e].push_back({d, weight_of(state, static_cast<int>(e), place)});
    }
  return layer;
}

LayerPlan search_devices(const VisitState& state, const SearchCluster& cluster,
                         const SearchGoal& goal, const Annealing& how, std::uint64_t seed,
                         const LayerPlan* keep, double moving) {
  LayerPlan layer = pack_devices(state, cluster, keep);
  if (!cluster.by_node()) return layer;
  for (int node = 0; node < cluster.topology.nodes(); ++node)
    if (cluster.topology.devices_on(node) > 1)
      search_node(layer, state, cluster, node, goal, how,
                  hash_combine(seed, static_cast<std::uint64_t>(node)), keep, moving);
  return layer;
}

int keep_copies(LayerPlan& layer, const LayerPlan& keep, const SearchCluster& cluster, int copies) {
  std::vector<int> room = cluster.max_experts;
  for (const auto& instances : layer.experts)
    for (const Instance& i : instances) --room[static_cast<std::size_t>(i.device)];
  int added = 0;
  for (std::size_t e = 0; e < layer.experts.size(); ++e)
    for (const Instance& old : keep.experts[e]) {
      auto& now = layer.experts[e];
      const auto find = [&](auto&& same) { return std::find_if(now.begin(), now.end(), same); };
      const auto beside = find([&](const Instance& i) {
        return cluster.topology.node_of(i.device) == cluster.topology.node_of(old.device);
      });
      const bool here =
          find([&](const Instance& i) { return i.device == old.device; }) != now.end();
      int& left = room[static_cast<std::size_t>(old.device)];
      if (here || beside == now.end() || left <= 0 || added == copies) continue;
      now.push_back({old.device, beside->weight});
      --left;
      ++added;
    }
  return added;
}

double device_imbalance(const LayerPlan& layer, const TokenBits& tokens, int top_k,
                        const SearchCluster& cluster, double step_tokens) {
  DeviceWork work(tokens, top_k, cluster, step_tokens);
  work.add(layer);
  return work.max_over_mean();
}

double device_drift(const LayerPlan& layer, const TokenBits& tokens, const SearchCluster& cluster) {
  const std::size_t devices = cluster.capacity.size();
  std::vector<double> work(devices * static_cast<std::size_t>(tokens.views()));
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    const std::vector<double> parts = serving_shares(layer.experts[e], cluster.topology);
    for (std::size_t i = 0; i < work.size(); ++i)
      work[i] +=
          parts[i % devices] * tokens.share(static_cast<int>(i / devices), static_cast<int>(e));
  }
  std::vector<double> ratios(static_cast<std::size_t>(tokens.views()));
  for (std::size_t i = 0; i < work.size(); ++i)
    ratios[i / devices] = std::max(ratios[i / devices], work[i] / cluster.capacity[i % devices]);
  return expected_on_new_text(ratios) - ratios.front();
}

namespace {

// A copy of one of the busiest device's experts on another device, and the ratio it leads to.
struct Relief {
  int expert = -1;
  std::vector<Instance> instances;
  double ratio = 0;
};

std::vector<Instance> with_copy(std::vector<Instance> instances, int on, int device) {
  for (const Instance& i : instances)
    if (i.device == on) {
      instances.push_back({device, i.weight});
      break;
    }
  return instances;
}

class Reliever {
 public:
  Reliever(LayerPlan& layer, const TokenBits& tokens, int top_k, const SearchCluster& cluster,
           double step_tokens)
      : layer_(layer),
        tokens_(tokens),
        cluster_(cluster),
        work_(tokens, top_k, cluster, step_tokens),
        held_(cluster.capacity.size()) {
    work_.add(layer);
    for (const auto& instances : layer.experts)
      for (const Instance& i : instances) ++held_[static_cast<std::size_t>(i.device)];
  }

  double ratio() const { return work_.max_over_mean(); }

  Relief best() {
    const auto busy = work_.busiest();
    Relief best;
    best.ratio = ratio();
    const int node = cluster_.topology.node_of(static_cast<int>(busy));
    for (const int e : heaviest_on(static_cast<int>(busy)))
      for (const bool same_node : {true, false}) {
        const int target = least_busy(e, node, same_node);
        if (target >= 0) try_copy(e, static_cast<int>(busy), target, best);
      }
    return best;
  }

  void apply(const Relief& relief) {
    change(relief.expert, layer_.experts[static_cast<std::size_t>(relief.expert)],
           relief.instances);
    layer_.experts[static_cast<std::size_t>(relief.expert)] = relief.instances;
    ++held_[static_cast<std::size_t>(relief.instances.back().device)];
  }

 private:
  static constexpr std::size_t kCandidates = 4;  // of the busiest device's experts

  std::vector<int> heaviest_on(int device) const {
    std::vector<int> on;
    for (std::size_t e = 0; e < layer_.experts.size(); ++e)
      for (const Instance& i : layer_.experts[e])
        if (i.device == device) on.push_back(static_cast<int>(e));
    std::stable_sort(on.begin(), on.end(),
                     [&](int a, int b) { return tokens_.share(0, a) > tokens_.share(0, b); });
    if (on.size() > kCandidates) on.resize(kCandidates);
    return on;
  }

  int least_busy(int expert, int node, bool same_node) const {
    const auto& instances = layer_.experts[static_cast<std::size_t>(expert)];
    int best = -1;
    for (int d = 0; d < cluster_.topology.devices(); ++d) {
      if ((cluster_.topology.node_of(d) == node) != same_node) continue;
      const bool holds = std::any_of(instances.begin(), instances.end(),
                                     [&](const Instance& i) { return i.device == d; });
      const auto at = static_cast<std::size_t>(d);
      if (!holds && held_[at] < cluster_.max_experts[at] &&
          (best < 0 || work_.ratio(at) < work_.ratio(static_cast<std::size_t>(best))))
        best = d;
    }
    return best;
  }

  void change(int expert, const std::vector<Instance>& from, const std::vector<Instance>& to) {
    work_.add(expert, from, -1);
    work_.add(expert, to, 1);
  }

  void try_copy(int expert, int busy, int target, Relief& best) {
    const auto& now = layer_.experts[static_cast<std::size_t>(expert)];
    Relief trial{expert, with_copy(now, busy, target), 0};
    change(expert, now, trial.instances);
    trial.ratio = work_.max_over_mean();
    change(expert, trial.instances, now);
    if (trial.ratio < best.ratio - 1e-9) best = std::move(trial);
  }

  LayerPlan& layer_;
  const TokenBits& tokens_;
  const SearchCluster& cluster_;
  DeviceWork work_;
  std::vector<int> held_;  // [devices] instances
};

}  // namespace

int relieve(LayerPlan& layer, const TokenBits& tokens, int top_k, const SearchCluster& cluster,
            const SearchGoal& goal, int copies, double moving) {
  Reliever reliever(layer, tokens, top_k, cluster, goal.step_tokens);
  int added = 0;
  while (added < copies && reliever.ratio() > goal.balance_bound) {
    const Relief relief = reliever.best();
    if (relief.expert < 0 || kOverBound * (reliever.ratio() - relief.ratio) < moving) break;
    reliever.apply(relief);
    ++added;
  }
  return added;
}

}  // namespace gracemoe
