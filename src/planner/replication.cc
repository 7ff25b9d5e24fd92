#include "planner/replication.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace gracemoe {
namespace {

std::vector<double> device_loads(const Groups& device_groups, std::span<const double> load) {
  std::vector<double> w;
  for (const auto& group : device_groups) {
    double sum = 0;
    for (const int e : group) sum += load[static_cast<std::size_t>(e)];
    w.push_back(sum);
  }
  return w;
}

// The shortest prefix, in falling order of load, whose cumulative load reaches `goal`.
std::vector<int> hot_prefix(std::vector<int> experts, std::span<const double> load, double goal) {
  const auto load_of = [&](int e) { return load[static_cast<std::size_t>(e)]; };
  std::stable_sort(experts.begin(), experts.end(),
                   [&](int a, int b) { return load_of(a) > load_of(b); });
  double sum = 0;
  std::size_t count = 0;
  while (count < experts.size() && sum < goal) sum += load_of(experts[count++]);
  experts.resize(count);
  return experts;
}

std::vector<int> least_loaded(std::span<const double> w, int but, int count) {
  std::vector<int> devices;
  for (int d = 0; d < static_cast<int>(w.size()); ++d)
    if (d != but) devices.push_back(d);
  std::stable_sort(devices.begin(), devices.end(), [&](int a, int b) {
    return w[static_cast<std::size_t>(a)] < w[static_cast<std::size_t>(b)];
  });
  devices.resize(static_cast<std::size_t>(count));
  return devices;
}

// W'_d: the hot experts' load shared evenly by their instances.
std::vector<double> predicted_loads(std::vector<double> w, const ReplicaChoice& choice,
                                    std::span<const double> load) {
  if (choice.targets.empty()) return w;
  double hot_load = 0;
  for (const int e : choice.hot) hot_load += load[static_cast<std::size_t>(e)];
  const double share = hot_load / static_cast<double>(choice.targets.size() + 1);
  w[static_cast<std::size_t>(choice.hottest)] += share - hot_load;
  for (const int d : choice.targets) w[static_cast<std::size_t>(d)] += share;
  return w;
}

std::vector<Instance> instances_of_hot(const ReplicaChoice& choice, std::span<const double> w) {
  std::vector<Instance> instances{{choice.hottest, 1.0}};
  for (const int d : choice.targets) instances.push_back({d, 1.0});
  double sum = 0;
  for (Instance& i : instances) sum += i.weight = 1 / w[static_cast<std::size_t>(i.device)];
  for (Instance& i : instances) i.weight /= sum;
  return instances;
}

}  // namespace

ReplicaChoice choose_replicas(const Groups& device_groups, std::span<const double> load,
                              Replication kind) {
  const std::vector<double> w = device_loads(device_groups, load);
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  const auto largest = std::max_element(w.begin(), w.end());
  ReplicaChoice choice;
  choice.hottest = static_cast<int>(largest - w.begin());
  if (!(total > 0)) return choice;
  const auto devices = static_cast<double>(w.size());
  choice.skew = *largest * devices / total;
  if (kind == Replication::kNone) return choice;
  choice.replicas = static_cast<int>(std::min(std::max(1.0, std::floor(choice.skew)), devices - 1));
  if (choice.replicas == 0) return choice;
  const double n = choice.replicas;
  choice.hot = hot_prefix(device_groups[static_cast<std::size_t>(choice.hottest)], load,
                          *largest * n / (1 + n));
  if (kind == Replication::kFixed) choice.replicas = 1;
  choice.targets = least_loaded(w, choice.hottest, choice.replicas);
  return choice;
}

LayerPlan replicated_layer(const Groups& device_groups, std::span<const double> load,
                           Replication kind) {
  const ReplicaChoice choice = choose_replicas(device_groups, load, kind);
  LayerPlan layer;
  layer.skew = choice.skew;
  layer.replicas = choice.replicas;
  layer.experts.resize(load.size());
  for (std::size_t d = 0; d < device_groups.size(); ++d)
    for (const int e : device_groups[d])
      layer.experts[static_cast<std::size_t>(e)] = {{static_cast<int>(d), 1.0}};
  const std::vector<double> w = predicted_loads(device_loads(device_groups, load), choice, load);
  if (!choice.targets.empty())
    for (const int e : choice.hot)
      layer.experts[static_cast<std::size_t>(e)] = instances_of_hot(choice, w);
  const double total = std::accumulate(w.begin(), w.end(), 0.0);
  if (total > 0)
    for (const double load_here : w) layer.predicted_load.push_back(load_here / total);
  return layer;
}

}  // namespace gracemoe
