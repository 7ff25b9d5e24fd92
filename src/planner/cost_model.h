// Predicted time of one MoE layer in one step (LayerTime), in closed form: latency + bytes /
// bandwidth for each way of the hierarchical exchange, and the slowest device's computation.
//
// A step takes tokens_per_device tokens at each device's home, routed as in the trace that the
// metrics come from. The four ways of the exchange (between nodes and inside them, out and back)
// follow each other, each as long as its busiest end:
//   between nodes  a node's link: for every other node one message's latency, and the bytes one
//                  after the other; sending and receiving at once
//   inside a node  a device's port: for every other device of the node the same
//   computation    max over devices of (entries * seconds_per_token_expert
//                                       + active experts * seconds_per_expert_read) / speed
// Not in it: gate, attention, packing of messages, overlap of phases, and that a single step's load
// scatters around the mean (which matters with few tokens a step).
#pragma once
#include <string>
#include <vector>

#include "plan/plan.h"
#include "planner/evaluate.h"
#include "topology/cluster.h"

namespace gracemoe {

// One expert is gate and up [width, hidden] and down [hidden, width].
struct ExpertShape {
  int hidden = 2048;
  int width = 1024;
};

struct StepWorkload {
  double tokens_per_device = 512;  // tokens at home on each device, a step
  double row_bytes = 0;            // one hidden row as dispatched
  // One partial sum on the way back inside a node. j > 1 experts' outputs that share the way take
  // the smaller of this and j * row_bytes (exchange.h, Reduction); infinity: never summed on the
  // way.
  double return_row_bytes = 0;
  double entry_bytes = 0;   // routing data that goes with a row, for each of its experts
  double expert_bytes = 0;  // one expert's weights
  // The same between nodes, where sums are packed (exchange.h, Packing).
  double cross_return_row_bytes = 0;
};

struct CostModel {
  Cluster cluster;
  StepWorkload workload;
  double seconds_per_token_expert = 0;  // on a device of speed 1
  double seconds_per_expert_read = 0;   // per distinct expert that a step uses on the device
};

// bf16 rows, float32 partial sums that take 15 bits a number between nodes, bf16 weights.
StepWorkload step_workload(const ExpertShape& shape, double tokens_per_device);
// The cluster's compute figures at this shape.
CostModel make_cost_model(const Cluster& cluster, const ExpertShape& shape,
                          double tokens_per_device);

// What one layer moves and computes in one step; what predict() is a function of.
struct LayerTraffic {
  struct RowBytes {
    double dispatch = 0, combine = 0;  // mean bytes of a row, out and back
  };
  // [nodes, nodes] rows of tokens at home on the first that visit the second; empty: only the sums
  // below are known, and every pair counts with the class's link.
  std::vector<double> node_rows;
  std::vector<double> node_sent, node_received;  // [nodes] rows to, from other nodes, in dispatch
  RowBytes cross;
  std::vector<double> sent, received;  // [devices] rows to, from other devices of the node
  RowBytes intra;
  std::vector<double> entries;  // [devices] (token, expert) computations
  std::vector<double> active;   // [devices] expected distinct experts used
};

// One layer's metrics (not the total's), scaled to one step. The expected number of active experts
// takes the step's tokens as independent draws.
LayerTraffic step_traffic(const CostModel& model, const RoutingMetrics& layer);

// Cost: nodes^2 + devices. Error (GM_CHECK) if the traffic is of another topology.
LayerTime predict(const CostModel& model, const LayerTraffic& traffic);
LayerTime predict(const CostModel& model, const RoutingMetrics& layer);
// Mean over the layers; all 0 where there are none or the trace was empty.
LayerTime mean_layer_time(const CostModel& model, const PlanMetrics& metrics);

// Every figure that the prediction rests on, in one line, as stored in Plan::time_basis.
std::string describe(const CostModel& model);

// Stores each layer's predicted_time in the plan, and time_basis. The metrics are the plan's.
void note_predicted_time(Plan& plan, const PlanMetrics& metrics, const CostModel& model);

}  // namespace gracemoe
