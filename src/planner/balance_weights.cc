// Polling weights for a given placement. With shares free, the busiest device is at
//   max over sets X of experts of load(X) / speed(devices that hold any of X),
// the minimum cut of a flow problem: source -> expert (its load) -> devices that hold it -> sink
// (speed * time). The time is found from below: a cut that a time is too short for names the set X,
// and the least time for X is the next to try; every step is a larger ratio of finitely many, and
// the last is exact. The devices of that set then are full of it, and the rest is a smaller
// problem.
#include <algorithm>
#include <limits>
#include <numeric>
#include <queue>

#include "base/error.h"
#include "planner/balance.h"

namespace gracemoe {
namespace {

std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// Dinic's maximum flow with real capacities.
class FlowNetwork {
 public:
  explicit FlowNetwork(int nodes) : out_(at(nodes)) {}
  // Returns the edge's number; its reverse is the next.
  int connect(int from, int to, double capacity) {
    out_[at(from)].push_back(static_cast<int>(edges_.size()));
    edges_.push_back({to, capacity});
    out_[at(to)].push_back(static_cast<int>(edges_.size()));
    edges_.push_back({from, 0});
    return static_cast<int>(edges_.size()) - 2;
  }
  // Capacities below `least` count as none.
  double run(int source, int sink, double least) {
    least_ = least;
    double flow = 0;
    while (find_levels(source), level_[at(sink)] >= 0) {
      next_.assign(out_.size(), 0);
      while (const double more = push(source, sink, std::numeric_limits<double>::infinity()))
        flow += more;
    }
    return flow;
  }
  double flow(int edge) const { return edges_[at(edge) + 1].capacity; }
  // After run(): on the source's side of the minimum cut.
  bool reached(int node) const { return level_[at(node)] >= 0; }

 private:
  struct Edge {
    int to;
    double capacity;
  };
  void find_levels(int source) {
    level_.assign(out_.size(), -1);
    level_[at(source)] = 0;
    std::queue<int> frontier({source});
    for (; !frontier.empty(); frontier.pop()) {
      for (const int edge : out_[at(frontier.front())]) {
        const auto& [to, capacity] = edges_[at(edge)];
        if (capacity <= least_ || level_[at(to)] >= 0) continue;
        level_[at(to)] = level_[at(frontier.front())] + 1;
        frontier.push(to);
      }
    }
  }
  // At most as deep as a path is long: that is 2 * devices.
  double push(int node, int sink, double most) {  // NOLINT(misc-no-recursion)
    if (node == sink) return most;
    for (std::size_t& i = next_[at(node)]; i < out_[at(node)].size(); ++i) {
      const int edge = out_[at(node)][i];
      Edge& forward = edges_[at(edge)];
      if (forward.capacity <= least_ || level_[at(forward.to)] != level_[at(node)] + 1) continue;
      const double got = push(forward.to, sink, std::min(most, forward.capacity));
      if (got <= 0) continue;
      forward.capacity -= got;
      edges_[at(edge ^ 1)].capacity += got;
      return got;
    }
    return 0;
  }

  std::vector<std::vector<int>> out_;  // edges from a node
  std::vector<Edge> edges_;
  std::vector<int> level_;         // from the source, -1: not reached
  std::vector<std::size_t> next_;  // the first edge that may still carry more
  double least_ = 0;
};

class FreeShares {
 public:
  FreeShares(const std::vector<std::vector<int>>& device_experts, std::span<const double> load,
             std::span<const double> speed)
      : experts_of_(device_experts),
        load_(load),
        speed_(speed.begin(), speed.end()),
        open_expert_(load.size()),
        open_device_(device_experts.size(), true) {
    if (speed_.empty()) speed_.assign(device_experts.size(), 1);
    for (std::size_t e = 0; e < load.size(); ++e) open_expert_[e] = load[e] > 0;
    for (const auto& experts : device_experts) share_.emplace_back(experts.size(), 0.0);
  }

  std::vector<std::vector<double>> solve() {
    while (std::find(open_expert_.begin(), open_expert_.end(), true) != open_expert_.end())
      settle_busiest();
    normalise();
    return std::move(share_);
  }

 private:
  // The load of the open experts, or of those that a cut reached, over their devices' speed.
  double least_time(const FlowNetwork* cut) const {
    double load = 0, speed = 0;
    for (std::size_t e = 0; e < load_.size(); ++e)
      if (open_expert_[e] && (!cut || cut->reached(expert_node(e)))) load += load_[e];
    for (std::size_t d = 0; d < speed_.size(); ++d)
      if (open_device_[d] && (!cut || cut->reached(device_node(d)))) speed += speed_[d];
    return load / speed;
  }

  int expert_node(std::size_t e) const { return 2 + static_cast<int>(e); }
  int device_node(std::size_t d) const { return 2 + static_cast<int>(load_.size() + d); }

  FlowNetwork network(double time, std::vector<std::vector<int>>& edges) const {
    FlowNetwork net(2 + static_cast<int>(load_.size() + speed_.size()));
    for (std::size_t e = 0; e < load_.size(); ++e)
      if (open_expert_[e]) net.connect(0, expert_node(e), load_[e]);
    for (std::size_t d = 0; d < speed_.size(); ++d) {
      edges.emplace_back(experts_of_[d].size(), -1);
      if (!open_device_[d]) continue;
      net.connect(device_node(d), 1, speed_[d] * time);
      for (std::size_t i = 0; i < experts_of_[d].size(); ++i) {
        const std::size_t e = at(experts_of_[d][i]);
        if (open_expert_[e]) edges[d][i] = net.connect(expert_node(e), device_node(d), load_[e]);
      }
    }
    return net;
  }

  // The set of experts that needs the longest time gets its shares; it and its devices are closed.
  void settle_busiest() {
    double total = 0;
    for (std::size_t e = 0; e < load_.size(); ++e) total += open_expert_[e] ? load_[e] : 0;
    constexpr double kRounding = 1e-12;
    double time = least_time(nullptr);
    std::vector<bool> tight_expert = open_expert_, tight_device = open_device_;
    while (true) {
      std::vector<std::vector<int>> edges;
      FlowNetwork net = network(time, edges);
      const double flow = net.run(0, 1, kRounding * total / static_cast<double>(load_.size()));
      const double longer = flow < total * (1 - kRounding) ? least_time(&net) : time;
      if (!(longer > time * (1 + kRounding))) {
        take_shares(net, edges, tight_expert);
        break;
      }
      time = longer;
      for (std::size_t e = 0; e < load_.size(); ++e)
        tight_expert[e] = open_expert_[e] && net.reached(expert_node(e));
      for (std::size_t d = 0; d < speed_.size(); ++d)
        tight_device[d] = open_device_[d] && net.reached(device_node(d));
    }
    for (std::size_t e = 0; e < load_.size(); ++e)
      if (tight_expert[e]) open_expert_[e] = false;
    for (std::size_t d = 0; d < speed_.size(); ++d)
      if (tight_device[d]) open_device_[d] = false;
  }

  void take_shares(const FlowNetwork& net, const std::vector<std::vector<int>>& edges,
                   const std::vector<bool>& taken) {
    for (std::size_t d = 0; d < edges.size(); ++d)
      for (std::size_t i = 0; i < edges[d].size(); ++i)
        if (edges[d][i] >= 0 && taken[at(experts_of_[d][i])])
          share_[d][i] = std::max(0.0, net.flow(edges[d][i]));
  }

  // From flows to shares; equal ones where nothing flowed.
  void normalise() {
    std::vector<double> sum(load_.size());
    std::vector<int> count(load_.size());
    for (std::size_t d = 0; d < share_.size(); ++d) {
      for (std::size_t i = 0; i < share_[d].size(); ++i) {
        sum[at(experts_of_[d][i])] += share_[d][i];
        ++count[at(experts_of_[d][i])];
      }
    }
    for (std::size_t d = 0; d < share_.size(); ++d) {
      for (std::size_t i = 0; i < share_[d].size(); ++i) {
        const std::size_t e = at(experts_of_[d][i]);
        share_[d][i] = sum[e] > 0 ? share_[d][i] / sum[e] : 1.0 / count[e];
      }
    }
  }

  const std::vector<std::vector<int>>& experts_of_;
  std::span<const double> load_;
  std::vector<double> speed_;
  std::vector<bool> open_expert_, open_device_;
  std::vector<std::vector<double>> share_;  // flows until normalise()
};

}  // namespace

BalanceResult balance_weights(const std::vector<std::vector<int>>& device_experts,
                              std::span<const double> load, std::span<const double> speed) {
  std::vector<bool> placed(load.size());
  for (const auto& experts : device_experts) {
    for (const int e : experts) {
      GM_CHECK(e >= 0 && at(e) < load.size(), "balance_weights: an expert out of range");
      placed[at(e)] = true;
    }
  }
  GM_CHECK(std::find(placed.begin(), placed.end(), false) == placed.end(),
           "balance_weights: an expert is on no device");
  GM_CHECK(speed.empty() || speed.size() == device_experts.size(),
           "balance_weights: speed is not [devices]");
  return balance_of(device_experts, FreeShares(device_experts, load, speed).solve(), load, speed);
}

}  // namespace gracemoe
