// A plan: per MoE layer, on which devices the instances of every expert live, and with what polling
// weight each is used. Invariants (checked by validate(), which read_plan() calls): every expert
// has at least one instance (the first is the primary), no two on the same device, device ids in
// range, weights positive and finite.
//
// File: JSON that a person can read and diff, one line an expert:
//   {"format": "gracemoe-plan", "version": 1, "preset": "grace", "settings": ..., "model": ...,
//    "fingerprint": ..., "num_experts": 64, "top_k": 8, "topology": "2x2",
//    "time_basis": ..., "memory_curve": [{"extra_memory": 0.25, "nodes_visited": ..., ...}, ...],
//    "layers": [{"layer": 0, "ratio": ..., "skew": ..., "replicas": ..., "nodes_visited": ...,
//                "predicted_time_s": {"cross_node": ..., "intra_node": ..., "compute": ...},
//                "ratio_curve": [{"ratio": 0.05, "deviation": ..., "utilisation": ...}, ...],
//                "predicted_load": [...],
//                "experts": [{"expert": 0, "devices": [3]},
//                            {"expert": 1, "devices": [0, 2], "weights": [0.6, 0.4]}, ...]}, ...]}
// The first device holds the primary; "weights" may be left out where there is one device only;
// what only explains ("time_basis", "memory_curve", "predicted_time_s", "ratio_curve") where it is
// unknown.
#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "topology/topology.h"

namespace gracemoe {

struct Instance {
  int device = 0;
  double weight = 1.0;  // polling weight, relative to the expert's other instances
  friend bool operator==(const Instance&, const Instance&) = default;
};

// One candidate ratio r of controlled non-uniform grouping and what its groups are worth.
struct RatioPoint {
  double ratio = 0;
  double deviation = 0;  // S(r): root mean square distance of the sizes from their mean, in experts
  double utilisation = 0;  // U(r): share of the affinity that is inside groups, in [0, 1]
  friend bool operator==(const RatioPoint&, const RatioPoint&) = default;
};

// What a budget of copies buys: means over layers, of the best plan found within it.
struct MemoryPoint {
  double extra_memory = 0;  // copies / experts, all layers together
  double nodes_visited = 0;
  double load_max_over_mean = 0;
  double layer_time_s = 0;  // predicted; 0: unknown
  friend bool operator==(const MemoryPoint&, const MemoryPoint&) = default;
};

// Predicted seconds of one MoE layer in one step, by the cost model; all 0: unknown.
struct LayerTime {
  double cross_node_s = 0;  // dispatch and combine between nodes
  double intra_node_s = 0;  // between the devices of a node
  double compute_s = 0;     // the experts, on the device that takes longest
  double total_s() const { return cross_node_s + intra_node_s + compute_s; }
  friend bool operator==(const LayerTime&, const LayerTime&) = default;
};

struct LayerPlan {
  std::vector<std::vector<Instance>> experts;  // [num_experts][instances], primary first

  // What the planner knew; for people and reports, nothing depends on it.
  double ratio = 0;  // r of the controlled non-uniform grouping; 0: uniform, -1: as clustered
  double skew = 0;   // rho = W_max / W_mean of the primaries
  int replicas = 0;  // n_replica
  // [devices] share of the layer's (token, expert) computations; sums to 1; may be empty
  std::vector<double> predicted_load;
  double nodes_visited = 0;  // expected other nodes visited per token; 0 if unknown
  LayerTime predicted_time;
  std::vector<RatioPoint> ratio_curve;  // what the knee was chosen from; empty: no choice was made
  friend bool operator==(const LayerPlan&, const LayerPlan&) = default;
};

struct Plan {
  std::string preset;       // "contiguous", "grace", ... : how it was made
  std::string settings;     // the full configuration as printed
  std::string model;        // name, for people
  std::string fingerprint;  // of the checkpoint; empty: unknown (then only shapes are compared)
  int num_experts = 0;
  int top_k = 0;
  Topology topology;
  std::string time_basis;  // what predicted_time assumes: tokens, row bytes, links, speeds
  std::vector<MemoryPoint> memory_curve;  // rising extra_memory; empty: not computed
  std::vector<LayerPlan> layers;          // MoE layers only

  // Instances on a device in a layer, ascending expert ids.
  std::vector<int> experts_on(int layer, int device) const;
  // [devices] expert instances over all layers.
  std::vector<int> instances_held() const;
  // Expert instances over all layers and devices, minus layers * num_experts: the copies.
  int copies() const;
  friend bool operator==(const Plan&, const Plan&) = default;
};

// Error (kInput) naming `name`, the layer and the expert, if an invariant does not hold.
void validate(const Plan& plan, const std::string& name);

// Errors (kInput): malformed, wrong schema version, an invariant broken.
Plan read_plan(const std::filesystem::path& path);
// The same from the text of a file, for plans that arrive by message; `name` is for errors.
Plan parse_plan(const std::string& text, const std::string& name);
// The file's text. Numbers are written so that they read back exactly.
std::string plan_text(const Plan& plan);
void write_plan(const std::filesystem::path& path, const Plan& plan);

// What a run has, to hold a plan against.
struct PlanTarget {
  std::string model, fingerprint;
  int num_experts = 0, top_k = 0, layers = 0;
  Topology topology;
};
// Error (kInput) with the reason if the plan was made for another model (shape or fingerprint) or
// another cluster (more ranks than the plan has devices, fewer, or other nodes), and what to do.
void check_plan_fits(const Plan& plan, const PlanTarget& target, const std::string& name);

}  // namespace gracemoe
