// What a plan costs on a routing trace: the trace is replayed, every token's experts served by the
// instances that the routing policy picks, and what would cross is counted.
//
// Homes: the sequences of the trace, in order of appearance, are dealt to the devices as a run
// deals its requests (routing/homes.h). Token keys are those of the run: token_key(sequence number,
// position in the sequence). A trace of a whole run therefore gives exactly that run's counts
// (where no request ended before its time).
#pragma once
#include <cstdint>
#include <vector>

#include "plan/plan.h"
#include "routing/replica_selector.h"
#include "topology/cluster.h"
#include "trace/routing_trace.h"

namespace gracemoe {

// Rows (copies of a token's hidden state) that the three exchanges send in dispatch.
struct DispatchRows {
  std::int64_t flat_per_expert = 0;  // one a (token, expert)
  std::int64_t flat_per_device = 0;  // one a (token, device)
  std::int64_t hierarchical =
      0;  // across nodes one a (token, node); then one a (token, device) inside it
};

// One layer, or the sum over layers; there a token counts once a layer, so that figures "per token"
// are means over layers.
struct RoutingMetrics {
  std::int64_t tokens = 0;
  // Per token; all 0 for an empty trace.
  double nodes_visited = 0;    // other nodes than home's that hold one of its experts' instances
  double crossing_share = 0;   // share of the tokens that visit any other node
  double devices_visited = 0;  // other devices than home
  double crossing_copies = 0;  // (token, expert) pairs served on another node
  // How nodes_visited spreads: [v] is the number of tokens that visit v other nodes. [nodes]
  std::vector<std::int64_t> visits;

  std::vector<std::int64_t> load;  // [devices] (token, expert) computations
  double load_max_over_mean = 0;   // in total: mean over layers; 0 for an empty trace
  double load_std = 0;             // over devices, in computations; in total: mean over layers
  int copies = 0;                  // expert instances beyond one an expert
  double extra_memory = 0;         // copies / experts

  DispatchRows cross_node_rows;  // to another node
  DispatchRows intra_node_rows;  // to another device of the same node
  // What comes back across nodes depends on how many of a token's experts share the way
  // (exchange.h, Reduction): [j] is the number of (token, other node) pairs with j experts there,
  // and of (token, device of another node) pairs. [top_k + 1]
  std::vector<std::int64_t> node_groups;
  std::vector<std::int64_t> device_groups;

  // The hierarchical exchange's rows by their ends, for the cost model (cost_model.h).
  // [nodes, nodes] from home's node to another; empty above kMaxPairNodes nodes (128 KiB a layer)
  std::vector<std::int64_t> node_pair_rows;
  std::vector<std::int64_t> node_sent, node_received;    // [nodes] rows to, from other nodes
  std::vector<std::int64_t> intra_sent, intra_received;  // [devices] inside the node
  // [j] (token, device) pairs with j experts that a row reaches inside a node. [top_k + 1]
  std::vector<std::int64_t> intra_groups;
  // [devices][experts on it, ascending ids] computations of each instance; empty in the total
  std::vector<std::vector<std::int64_t>> instance_load;
};
constexpr int kMaxPairNodes = 128;

struct PlanMetrics {
  std::vector<RoutingMetrics> layers;  // [MoE layers]
  RoutingMetrics total;
};

// Error (kInput) if plan and trace differ in experts, top_k or layers. `threads`: 0 is one a
// hardware thread; no influence on the result. Cost: about 10 ns a (token, layer, expert).
PlanMetrics evaluate(const Plan& plan, const RoutingTrace& trace, RoutingPolicy policy,
                     int threads = 0);

// Busiest over mean device of work / speed, the mean being all work over all speed: what a search
// bounds. Work is load, or with step_tokens > 0 the experts that a step of so many tokens uses, on
// average. 0 where nothing is loaded. Of a layer, and the mean over layers.
double work_max_over_mean(const RoutingMetrics& layer, const std::vector<DeviceSpec>& devices,
                          double step_tokens = 0);
double work_max_over_mean(const PlanMetrics& metrics, const std::vector<DeviceSpec>& devices,
                          double step_tokens = 0);

// Stores each layer's nodes_visited in the plan.
void note_nodes_visited(Plan& plan, const PlanMetrics& metrics);

}  // namespace gracemoe
