#include "planner/evaluate.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "planner/parallel.h"
#include "routing/homes.h"

namespace gracemoe {
namespace {

struct TokenOrigin {
  int home;
  std::uint64_t key;
};

// Lengths of the trace's sequences, in order of appearance.
std::vector<std::int64_t> sequence_lengths(const RoutingTrace& trace) {
  std::vector<std::int64_t> lengths;
  for (std::size_t t = 0; t < trace.sequence.size(); ++t) {
    if (t == 0 || trace.sequence[t] != trace.sequence[t - 1]) lengths.push_back(0);
    ++lengths.back();
  }
  return lengths;
}

std::vector<TokenOrigin> origins(const RoutingTrace& trace, int devices) {
  const std::vector<std::int64_t> lengths = sequence_lengths(trace);
  const std::vector<int> homes = deal_homes(lengths, devices);
  std::vector<TokenOrigin> out;
  out.reserve(trace.sequence.size());
  for (std::size_t s = 0; s < lengths.size(); ++s) {
    const auto sequence = static_cast<std::uint64_t>(trace.sequence[out.size()]);
    for (std::int64_t position = 0; position < lengths[s]; ++position)
      out.push_back({homes[s], token_key(sequence, static_cast<std::uint64_t>(position))});
  }
  return out;
}

// Numbers counted per item, cleared by forgetting what was touched: k of D are, and D may be
// hundreds.
class Tally {
 public:
  explicit Tally(int size) : count_(static_cast<std::size_t>(size)) {}
  void add(int item) {
    if (count_[static_cast<std::size_t>(item)]++ == 0) touched_.push_back(item);
  }
  const std::vector<int>& touched() const { return touched_; }
  std::size_t count(int item) const {
    return static_cast<std::size_t>(count_[static_cast<std::size_t>(item)]);
  }
  void clear() {
    for (const int item : touched_) count_[static_cast<std::size_t>(item)] = 0;
    touched_.clear();
  }

 private:
  std::vector<int> count_;
  std::vector<int> touched_;
};

// One layer's counts over the trace.
class LayerReplay {
 public:
  LayerReplay(const Plan& plan, const ReplicaSelector& selector, int layer)
      : topology_(plan.topology),
        selector_(selector),
        layer_(layer),
        on_device_(topology_.devices()),
        on_node_(topology_.nodes()) {
    metrics_.load.resize(static_cast<std::size_t>(topology_.devices()));
    metrics_.visits.resize(static_cast<std::size_t>(topology_.nodes()));
    metrics_.node_groups.resize(static_cast<std::size_t>(plan.top_k) + 1);
    metrics_.device_groups.resize(metrics_.node_groups.size());
    metrics_.intra_groups.resize(metrics_.node_groups.size());
    metrics_.node_sent.resize(nodes());
    metrics_.node_received.resize(nodes());
    if (topology_.nodes() <= kMaxPairNodes) metrics_.node_pair_rows.resize(nodes() * nodes());
    metrics_.intra_sent.resize(metrics_.load.size());
    metrics_.intra_received.resize(metrics_.load.size());
    number_instances(plan.layers[static_cast<std::size_t>(layer)]);
  }

  void add(const TokenOrigin& token, std::span<const std::uint16_t> experts) {
    const int home_node = topology_.node_of(token.home);
    on_device_.clear();
    on_node_.clear();
    for (const std::uint16_t expert : experts) {
      const int device = selector_.device_for(layer_, expert, token.home, token.key);
      const int node = topology_.node_of(device);
      ++metrics_.load[static_cast<std::size_t>(device)];
      count_instance(expert, device);
      on_device_.add(device);
      on_node_.add(node);
      if (node != home_node)
        ++metrics_.cross_node_rows.flat_per_expert;
      else if (device != token.home)
        ++metrics_.intra_node_rows.flat_per_expert;
    }
    ++metrics_.tokens;
    count_devices(token.home, home_node);
    count_nodes(home_node);
  }

  std::int64_t crossing_tokens() const { return crossing_tokens_; }
  RoutingMetrics metrics() const {
    RoutingMetrics m = metrics_;
    m.instance_load.resize(m.load.size());
    for (const CountedInstance& instance : instances_)
      m.instance_load[static_cast<std::size_t>(instance.device)].push_back(instance.uses);
    return m;
  }

 private:
  void count_devices(int home, int home_node) {
    for (const int device : on_device_.touched()) {
      const int node = topology_.node_of(device);
      if (node != home_node) {
        ++metrics_.cross_node_rows.flat_per_device;
        ++metrics_.device_groups[on_device_.count(device)];
        // The row arrives at home's peer and is handed on from there.
        hand_on(topology_.peer_on(home, node), device);
      } else if (device != home) {
        ++metrics_.intra_node_rows.flat_per_device;
        hand_on(home, device);
      }
    }
  }

  void hand_on(int from, int device) {
    if (from == device) return;
    ++metrics_.intra_node_rows.hierarchical;
    ++metrics_.intra_sent[static_cast<std::size_t>(from)];
    ++metrics_.intra_received[static_cast<std::size_t>(device)];
    ++metrics_.intra_groups[on_device_.count(device)];
  }

  void count_nodes(int home_node) {
    bool crossed = false;
    for (const int node : on_node_.touched()) {
      if (node == home_node) continue;
      crossed = true;
      ++metrics_.cross_node_rows.hierarchical;
      ++metrics_.node_groups[on_node_.count(node)];
      const auto from = static_cast<std::size_t>(home_node), to = static_cast<std::size_t>(node);
      ++metrics_.node_sent[from];
      ++metrics_.node_received[to];
      if (!metrics_.node_pair_rows.empty()) ++metrics_.node_pair_rows[from * nodes() + to];
    }
    crossing_tokens_ += crossed ? 1 : 0;
    ++metrics_.visits[on_node_.touched().size() - (on_node_.count(home_node) > 0 ? 1 : 0)];
  }

  std::size_t nodes() const { return static_cast<std::size_t>(topology_.nodes()); }

  void number_instances(const LayerPlan& plan) {
    for (const auto& instances : plan.experts) {
      first_instance_.push_back(instances_.size());
      for (const Instance& instance : instances) instances_.push_back({instance.device, 0});
    }
  }

  void count_instance(std::size_t expert, int device) {
    CountedInstance* instance = &instances_[first_instance_[expert]];
    while (instance->device != device) ++instance;
    ++instance->uses;
  }

  struct CountedInstance {
    int device;
    std::int64_t uses;
  };
  std::vector<CountedInstance> instances_;   // of expert 0, of expert 1, ...
  std::vector<std::size_t> first_instance_;  // [experts]
  const Topology& topology_;
  const ReplicaSelector& selector_;
  int layer_;
  Tally on_device_, on_node_;
  std::int64_t crossing_tokens_ = 0;
  RoutingMetrics metrics_;
};

// The figures per token, from the counts.
void divide_by_tokens(RoutingMetrics& m, std::int64_t crossing_tokens) {
  if (m.tokens == 0) return;
  const auto per_token = [&](std::int64_t count) {
    return static_cast<double>(count) / static_cast<double>(m.tokens);
  };
  m.nodes_visited = per_token(m.cross_node_rows.hierarchical);
  m.crossing_share = per_token(crossing_tokens);
  m.devices_visited =
      per_token(m.cross_node_rows.flat_per_device + m.intra_node_rows.flat_per_device);
  m.crossing_copies = per_token(m.cross_node_rows.flat_per_expert);
}

void measure_balance(RoutingMetrics& m) {
  const auto total =
      static_cast<double>(std::accumulate(m.load.begin(), m.load.end(), std::int64_t{0}));
  if (!(total > 0)) return;
  const double mean = total / static_cast<double>(m.load.size());
  double squares = 0;
  double largest = 0;
  for (const std::int64_t load : m.load) {
    const auto value = static_cast<double>(load);
    squares += (value - mean) * (value - mean);
    largest = std::max(largest, value);
  }
  m.load_max_over_mean = largest / mean;
  m.load_std = std::sqrt(squares / static_cast<double>(m.load.size()));
}

void add(DispatchRows& to, const DispatchRows& from) {
  to.flat_per_expert += from.flat_per_expert;
  to.flat_per_device += from.flat_per_device;
  to.hierarchical += from.hierarchical;
}

void add(std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from) {
  to.resize(from.size());
  std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
}

RoutingMetrics sum_of(const std::vector<RoutingMetrics>& layers) {
  RoutingMetrics total;
  for (const RoutingMetrics& layer : layers) {
    total.tokens += layer.tokens;
    total.copies += layer.copies;
    add(total.cross_node_rows, layer.cross_node_rows);
    add(total.intra_node_rows, layer.intra_node_rows);
    add(total.load, layer.load);
    add(total.visits, layer.visits);
    add(total.node_groups, layer.node_groups);
    add(total.device_groups, layer.device_groups);
    add(total.node_pair_rows, layer.node_pair_rows);
    add(total.node_sent, layer.node_sent);
    add(total.node_received, layer.node_received);
    add(total.intra_sent, layer.intra_sent);
    add(total.intra_received, layer.intra_received);
    add(total.intra_groups, layer.intra_groups);
    total.load_max_over_mean += layer.load_max_over_mean / static_cast<double>(layers.size());
    total.load_std += layer.load_std / static_cast<double>(layers.size());
  }
  return total;
}

void check_shapes(const Plan& plan, const RoutingTrace& trace) {
  const auto text = [](std::size_t layers, int experts, int top_k) {
    return std::to_string(layers) + " MoE layers of " + std::to_string(experts) + " experts, top-" +
           std::to_string(top_k);
  };
  if (plan.layers.size() != static_cast<std::size_t>(trace.layers) ||
      plan.num_experts != trace.num_experts || plan.top_k != trace.top_k)
    fail_input({"routing trace of " + trace.model,
                text(static_cast<std::size_t>(trace.layers), trace.num_experts, trace.top_k),
                "the plan's " + text(plan.layers.size(), plan.num_experts, plan.top_k),
                "use a trace of the model that the plan is for"});
}

}  // namespace

PlanMetrics evaluate(const Plan& plan, const RoutingTrace& trace, RoutingPolicy policy,
                     int threads) {
  check_shapes(plan, trace);
  const auto selector = make_selector(policy, plan);
  const std::vector<TokenOrigin> tokens = origins(trace, plan.topology.devices());
  PlanMetrics metrics;
  metrics.layers.resize(plan.layers.size());
  std::vector<std::int64_t> crossing(plan.layers.size());
  parallel_for(trace.layers, threads, [&](int layer) {
    LayerReplay replay(plan, *selector, layer);
    for (std::size_t t = 0; t < tokens.size(); ++t)
      replay.add(tokens[t], trace.chosen(static_cast<std::int64_t>(t), layer));
    const auto l = static_cast<std::size_t>(layer);
    RoutingMetrics& m = metrics.layers[l];
    m = replay.metrics();
    crossing[l] = replay.crossing_tokens();
    for (const auto& instances : plan.layers[l].experts)
      m.copies += static_cast<int>(instances.size()) - 1;
    m.extra_memory = static_cast<double>(m.copies) / plan.num_experts;
    divide_by_tokens(m, crossing[l]);
    measure_balance(m);
  });
  metrics.total = sum_of(metrics.layers);
  divide_by_tokens(metrics.total,
                   std::accumulate(crossing.begin(), crossing.end(), std::int64_t{0}));
  metrics.total.extra_memory = static_cast<double>(metrics.total.copies) /
                               (static_cast<double>(plan.num_experts) * trace.layers);
  return metrics;
}

namespace {

// Experts of the device that a step uses: each token uses an instance with the same probability.
double experts_used(const RoutingMetrics& layer, std::size_t device, double step_tokens) {
  double used = 0;
  for (const std::int64_t uses : layer.instance_load[device])
    used -= std::expm1(-step_tokens * static_cast<double>(uses) /
                       static_cast<double>(std::max<std::int64_t>(1, layer.tokens)));
  return used;
}

}  // namespace

double work_max_over_mean(const RoutingMetrics& layer, const std::vector<DeviceSpec>& devices,
                          double step_tokens) {
  GM_CHECK(layer.load.size() == devices.size(), "metrics are of another cluster");
  double load = 0, speed = 0, busiest = 0;
  for (std::size_t d = 0; d < devices.size(); ++d) {
    const double own =
        step_tokens > 0 ? experts_used(layer, d, step_tokens) : static_cast<double>(layer.load[d]);
    load += own;
    speed += devices[d].speed;
    busiest = std::max(busiest, own / devices[d].speed);
  }
  return load > 0 ? busiest * speed / load : 0;
}

double work_max_over_mean(const PlanMetrics& metrics, const std::vector<DeviceSpec>& devices,
                          double step_tokens) {
  double sum = 0;
  for (const RoutingMetrics& layer : metrics.layers)
    sum += work_max_over_mean(layer, devices, step_tokens);
  return metrics.layers.empty() ? 0 : sum / static_cast<double>(metrics.layers.size());
}

void note_nodes_visited(Plan& plan, const PlanMetrics& metrics) {
  GM_CHECK(plan.layers.size() == metrics.layers.size(), "metrics are of another plan");
  for (std::size_t l = 0; l < plan.layers.size(); ++l)
    plan.layers[l].nodes_visited = metrics.layers[l].nodes_visited;
}

}  // namespace gracemoe
