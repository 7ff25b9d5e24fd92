#include "planner/search_cluster.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace gracemoe {

SearchCluster SearchCluster::uniform(const Topology& topology, int experts) {
  const auto devices = static_cast<std::size_t>(topology.devices());
  const auto nodes = static_cast<std::size_t>(topology.nodes());
  SearchCluster cluster;
  cluster.topology = topology;
  cluster.capacity.assign(devices, 1.0 / static_cast<double>(devices));
  cluster.node_cost.assign(nodes * nodes, 1);
  cluster.max_copies.assign(devices, std::numeric_limits<double>::infinity());
  cluster.max_experts.assign(devices, experts);
  cluster.alike = topology.uniform();
  return cluster;
}

std::vector<double> arrival_costs(const std::vector<std::vector<int>>& old,
                                  const SearchCluster& cluster, double mean) {
  const auto places = static_cast<std::size_t>(cluster.places());
  std::vector<double> cost(old.size() * places);
  const auto link = [&](int from, std::size_t to) {
    return cluster.by_node() ? cluster.node_cost[static_cast<std::size_t>(from) * places + to] : 1;
  };
  for (std::size_t e = 0; e < old.size(); ++e)
    for (std::size_t place = 0; place < places; ++place) {
      double cheapest = std::numeric_limits<double>::infinity();
      for (const int holder : old[e])
        cheapest = std::min(
            cheapest, static_cast<std::size_t>(holder) == place ? 0 : mean * link(holder, place));
      cost[e * places + place] = cheapest;
    }
  return cost;
}

VisitProblem place_problem(const TokenBits& tokens, int top_k, const SearchCluster& cluster,
                           const SearchGoal& goal, std::vector<double> presence_cost) {
  const auto places = static_cast<std::size_t>(cluster.places());
  VisitProblem problem;
  problem.tokens = &tokens;
  problem.top_k = top_k;
  problem.places = cluster.places();
  VisitStream stream;
  stream.share.assign(places, 0);
  stream.takes.assign(static_cast<std::size_t>(tokens.experts()), 1);
  problem.capacity.assign(places, 0);
  problem.max_experts.assign(places, 0);
  for (int device = 0; device < cluster.topology.devices(); ++device) {
    const auto place = static_cast<std::size_t>(cluster.place_of(device));
    const auto d = static_cast<std::size_t>(device);
    stream.share[place] += 1.0 / cluster.topology.devices();
    problem.capacity[place] += cluster.capacity[d];
    problem.max_experts[place] =
        std::min(tokens.experts(), problem.max_experts[place] + cluster.max_experts[d]);
  }
  problem.streams.push_back(std::move(stream));
  problem.visit_cost =
      cluster.by_node() ? cluster.node_cost : std::vector<double>(places * places, 1);
  problem.balance_bound = goal.balance_bound;
  problem.imbalance_cost = goal.imbalance_cost;
  problem.step_tokens = goal.step_tokens;
  problem.presence_cost = std::move(presence_cost);
  return problem;
}

}  // namespace gracemoe
