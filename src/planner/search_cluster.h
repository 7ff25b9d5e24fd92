// A cluster as the search sees it: shares and relative costs instead of seconds and bytes.
#pragma once
#include <span>
#include <vector>

#include "planner/visit_state.h"
#include "topology/topology.h"

namespace gracemoe {

struct SearchCluster {
  Topology topology;
  std::vector<double> capacity;    // [devices] share of all computing speed; sums to 1
  std::vector<double> node_cost;   // [nodes, nodes] of a visit; 1 on the mean pair
  std::vector<double> max_copies;  // [devices] instances over all layers; may be infinite
  bool must_fit = true;          // max_copies is what devices can hold; else a fair share to aim at
  std::vector<int> max_experts;  // [devices] instances a layer
  bool alike = true;             // nodes and devices can change places without anyone noticing

  // Equal devices and links, no limits but the experts' number.
  static SearchCluster uniform(const Topology& topology, int experts);

  // The search first spreads experts over nodes, or over the devices of a single node.
  bool by_node() const { return topology.nodes() > 1; }
  int places() const { return by_node() ? topology.nodes() : topology.devices(); }
  int place_of(int device) const { return by_node() ? topology.node_of(device) : device; }
};

// What a search is to minimise, beside visits.
struct SearchGoal {
  double balance_bound = 1.1;   // of max / mean
  double imbalance_cost = 0.1;  // visits per token, a unit of max / mean
  double step_tokens = 0;       // as VisitProblem
};

// [experts, places] what an expert's arrival costs: `mean` on the mean link, over the cheapest from
// the places that hold it already (`old`, [experts][places that hold it]); nothing there.
std::vector<double> arrival_costs(const std::vector<std::vector<int>>& old,
                                  const SearchCluster& cluster, double mean);

// The layer's experts over cluster.places(); `presence_cost` as VisitProblem.
VisitProblem place_problem(const TokenBits& tokens, int top_k, const SearchCluster& cluster,
                           const SearchGoal& goal, std::vector<double> presence_cost = {});

}  // namespace gracemoe
