#include "planner/even_devices.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <numeric>

#include "base/error.h"

namespace gracemoe {
namespace {

using Sizes = std::vector<int>;

// Which of the numbers to take so that their sum is as near as can be to `wanted`: [numbers] 1 or
// 0.
std::vector<char> subset_near(const Sizes& numbers, int wanted) {
  int least = 0, most = 0;
  for (const int n : numbers) (n < 0 ? least : most) += n;
  const auto width = static_cast<std::size_t>(most - least + 1);
  const auto at = [&](int sum) { return static_cast<std::size_t>(sum - least); };
  // [numbers + 1, sums] whether the first of them reach the sum.
  std::vector<std::vector<char>> reached{std::vector<char>(width)};
  reached[0][at(0)] = 1;
  for (const int n : numbers) {
    std::vector<char> next = reached.back();
    for (int sum = least; sum <= most; ++sum)
      if (reached.back()[at(sum)] != 0) next[at(sum + n)] = 1;
    reached.push_back(std::move(next));
  }
  int sum = 0;
  for (int s = least; s <= most; ++s)
    if (reached.back()[at(s)] != 0 && std::abs(s - wanted) < std::abs(sum - wanted)) sum = s;
  std::vector<char> taken(numbers.size());
  for (std::size_t i = numbers.size(); i-- > 0;)
    if (reached[i][at(sum)] == 0) taken[i] = 1, sum -= numbers[i];
  return taken;
}

// Columns exchanged in some rows until all of them sum to the same, or nearly. rows: [rows,
// columns]. Returns [rows, columns] which column stands at each place.
std::vector<Sizes> even_columns(std::vector<Sizes> rows) {
  const std::size_t columns = rows.front().size();
  Sizes total(columns);
  for (const Sizes& row : rows)
    for (std::size_t c = 0; c < columns; ++c) total[c] += row[c];
  Sizes in_order(columns);
  std::iota(in_order.begin(), in_order.end(), 0);
  std::vector<Sizes> order(rows.size(), in_order);
  for (std::size_t round = 0; round < 8 * columns; ++round) {
    const auto [low, high] = std::minmax_element(total.begin(), total.end());
    const auto a = static_cast<std::size_t>(high - total.begin());
    const auto b = static_cast<std::size_t>(low - total.begin());
    Sizes differences;
    for (const Sizes& row : rows) differences.push_back(row[a] - row[b]);
    const std::vector<char> taken = subset_near(differences, (total[a] - total[b]) / 2);
    int moved = 0;
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (taken[r] == 0) continue;
      moved += differences[r];
      std::swap(rows[r][a], rows[r][b]);
      std::swap(order[r][a], order[r][b]);
    }
    total[a] -= moved;
    total[b] += moved;
    if (moved == 0) break;
  }
  return order;
}

// [devices] instances.
Sizes sizes_of(const LayerPlan& layer, int devices) {
  Sizes sizes(static_cast<std::size_t>(devices));
  for (const auto& instances : layer.experts)
    for (const Instance& i : instances) ++sizes[static_cast<std::size_t>(i.device)];
  return sizes;
}

void rename(LayerPlan& layer, const Sizes& names) {
  for (auto& instances : layer.experts)
    for (Instance& i : instances) i.device = names[static_cast<std::size_t>(i.device)];
}

// Nodes as a whole, device by device.
void even_out_nodes(std::vector<LayerPlan>& layers, const Topology& topology) {
  std::vector<Sizes> rows;
  for (const LayerPlan& layer : layers) {
    Sizes held(static_cast<std::size_t>(topology.nodes()));
    for (const auto& instances : layer.experts)
      for (const Instance& i : instances)
        ++held[static_cast<std::size_t>(topology.node_of(i.device))];
    rows.push_back(std::move(held));
  }
  const std::vector<Sizes> order = even_columns(std::move(rows));
  Sizes names(static_cast<std::size_t>(topology.devices()));
  for (std::size_t l = 0; l < layers.size(); ++l) {
    for (int to = 0; to < topology.nodes(); ++to) {
      const int from = order[l][static_cast<std::size_t>(to)];
      for (int g = 0; g < topology.devices_on(from); ++g)
        names[static_cast<std::size_t>(topology.first_device(from) + g)] =
            topology.first_device(to) + g;
    }
    rename(layers[l], names);
  }
}

void even_out_inside(std::vector<LayerPlan>& layers, const Topology& topology, int node) {
  const int first = topology.first_device(node), count = topology.devices_on(node);
  std::vector<Sizes> rows;
  for (const LayerPlan& layer : layers) {
    const Sizes sizes = sizes_of(layer, topology.devices());
    rows.emplace_back(sizes.begin() + first, sizes.begin() + first + count);
  }
  const std::vector<Sizes> order = even_columns(std::move(rows));
  Sizes names(static_cast<std::size_t>(topology.devices()));
  for (std::size_t l = 0; l < layers.size(); ++l) {
    std::iota(names.begin(), names.end(), 0);
    for (int to = 0; to < count; ++to)
      names[static_cast<std::size_t>(first + order[l][static_cast<std::size_t>(to)])] = first + to;
    rename(layers[l], names);
  }
}

}  // namespace

void even_out_devices(std::vector<LayerPlan>& layers, const SearchCluster& cluster) {
  GM_CHECK(cluster.alike, "even_out_devices: devices that are not alike");
  if (layers.empty()) return;
  even_out_nodes(layers, cluster.topology);
  for (int node = 0; node < cluster.topology.nodes(); ++node)
    even_out_inside(layers, cluster.topology, node);
}

}  // namespace gracemoe
