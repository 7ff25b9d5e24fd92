#include "topology/topology.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr int kMaxDevices = 65535;

int parse_count(std::string_view text, const std::string& whole) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 1 || value > kMaxDevices)
    fail_usage({"topology", "'" + whole + "'",
                "NODESxDEVICES such as 2x4, or the devices of each node such as 3,1", ""});
  return value;
}

}  // namespace

Topology Topology::grid(int nodes, int devices_per_node) {
  if (nodes < 1 || nodes > kMaxDevices)
    fail_usage(
        {"topology: nodes", std::to_string(nodes), "1 to " + std::to_string(kMaxDevices), ""});
  return of(std::vector<int>(static_cast<std::size_t>(nodes), devices_per_node));
}

Topology Topology::of(const std::vector<int>& devices_per_node) {
  Topology t;
  if (devices_per_node.empty()) fail_usage({"topology", "no node", "at least one", ""});
  for (const int count : devices_per_node) {
    if (count < 1 || count > kMaxDevices - t.devices())
      fail_usage({"topology: devices of node " + std::to_string(t.nodes()), std::to_string(count),
                  "at least 1 a node and at most " + std::to_string(kMaxDevices) + " in all", ""});
    t.node_of_.insert(t.node_of_.end(), static_cast<std::size_t>(count), t.nodes());
    t.first_device_.push_back(t.devices() + count);
  }
  return t;
}

Topology Topology::parse(const std::string& text) {
  const std::string_view view = text;
  if (const auto x = view.find('x'); x != std::string_view::npos)
    return grid(parse_count(view.substr(0, x), text), parse_count(view.substr(x + 1), text));
  std::vector<int> counts;
  for (std::size_t begin = 0; begin <= view.size();) {
    const std::size_t comma = std::min(view.find(',', begin), view.size());
    counts.push_back(parse_count(view.substr(begin, comma - begin), text));
    begin = comma + 1;
  }
  return of(counts);
}

std::vector<int> Topology::devices_per_node() const {
  std::vector<int> counts;
  counts.reserve(static_cast<std::size_t>(nodes()));
  for (int node = 0; node < nodes(); ++node) counts.push_back(devices_on(node));
  return counts;
}

bool Topology::uniform() const {
  for (int node = 1; node < nodes(); ++node)
    if (devices_on(node) != devices_on(0)) return false;
  return true;
}

std::string Topology::to_string() const {
  if (uniform()) return std::to_string(nodes()) + "x" + std::to_string(devices_on(0));
  std::string text;
  for (int node = 0; node < nodes(); ++node)
    text += (node ? "," : "") + std::to_string(devices_on(node));
  return text;
}

}  // namespace gracemoe
