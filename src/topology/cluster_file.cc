#include <algorithm>
#include <cstdio>
#include <initializer_list>

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"
#include "topology/cluster.h"

namespace gracemoe {
namespace {

constexpr int kVersion = 1;
constexpr int kMaxDevices = 65535;
constexpr double kBytesPerGbit = 1e9 / 8;
// Bounds that no machine reaches, so that a figure in the wrong unit shows itself.
constexpr double kLongestLatencyUs = 60e6;
constexpr double kMost = 1e12;

double number_between(const JsonObject& o, const std::string& key, double low, double high) {
  const double value = o.number(key);
  if (value < low || value > high) {
    char wanted[64];
    std::snprintf(wanted, sizeof wanted, "a number from %g to %g", low, high);
    fail_input({o.key_name(key), show_json(o.raw(key)), wanted, ""});
  }
  return value;
}

constexpr double kLeast = 1e-9;  // for what must be above 0

double positive_or(const JsonObject& o, const std::string& key, double fallback) {
  return o.has(key) ? number_between(o, key, kLeast, kMost) : fallback;
}

void refuse_other_keys(const Json& json, const std::string& name,
                       std::initializer_list<const char*> known) {
  for (const auto& [key, value] : json.items()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    std::string names;
    for (const char* k : known) names += (names.empty() ? "" : ", ") + std::string(k);
    fail_input({name + ": key " + show_json(Json(key)), "a key that is not known", names, ""});
  }
}

// Both figures are asked for: half a link would mix a measurement with a default.
LinkSpec read_link(const JsonObject& o) {
  return {number_between(o, "latency_us", 0, kLongestLatencyUs) / 1e6,
          number_between(o, "gbit_per_s", kLeast, kMost) * kBytesPerGbit};
}

LinkSpec read_link_at(const JsonObject& parent, const std::string& key, const LinkSpec& fallback) {
  if (!parent.has(key)) return fallback;
  const JsonObject link = parent.object(key);
  refuse_other_keys(parent.raw(key), link.name(), {"gbit_per_s", "latency_us"});
  return read_link(link);
}

DeviceSpec read_device(const Json& json, const std::string& name) {
  const JsonObject o(json, name);
  refuse_other_keys(json, name, {"speed", "memory_gb"});
  DeviceSpec device;
  device.speed = positive_or(o, "speed", device.speed);
  if (o.has("memory_gb")) device.memory_bytes = number_between(o, "memory_gb", 0, kMost) * 1e9;
  return device;
}

// Appends the node's devices; returns how many.
int read_node(const Json& json, const std::string& name, Cluster& cluster) {
  const JsonObject o(json, name);
  refuse_other_keys(json, name, {"devices", "link"});
  const int left = kMaxDevices - static_cast<int>(cluster.devices.size());
  const Json& devices = o.raw("devices");
  if (!devices.is_array()) {
    const auto count = o.integer("devices", 1, std::max(1, left));
    if (count > left)
      fail_input({name, "more devices", "at most " + std::to_string(kMaxDevices) + " in all", ""});
    cluster.devices.resize(cluster.devices.size() + static_cast<std::size_t>(count));
    return static_cast<int>(count);
  }
  if (devices.empty() || devices.size() > static_cast<std::size_t>(std::max(0, left)))
    fail_input({o.key_name("devices"), show_json(devices),
                "at least one device, at most " + std::to_string(kMaxDevices) + " in all", ""});
  for (std::size_t i = 0; i < devices.size(); ++i)
    cluster.devices.push_back(
        read_device(devices[i], o.key_name("devices") + "[" + std::to_string(i) + "]"));
  return static_cast<int>(devices.size());
}

void read_nodes(const JsonObject& o, Cluster& cluster) {
  const Json& nodes = o.array("nodes");
  std::vector<int> counts;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const std::string name = o.key_name("nodes") + "[" + std::to_string(i) + "]";
    counts.push_back(read_node(nodes[i], name, cluster));
    const JsonObject node(nodes[i], name);
    if (node.has("link"))
      cluster.node_overrides[static_cast<int>(i)] = read_link_at(node, "link", {});
  }
  if (counts.empty()) fail_input({o.key_name("nodes"), "none", "at least one node", ""});
  cluster.topology = Topology::of(counts);
}

void read_pair(const Json& json, const std::string& name, Cluster& cluster) {
  const JsonObject o(json, name);
  refuse_other_keys(json, name, {"nodes", "gbit_per_s", "latency_us"});
  const Json& nodes = o.array("nodes");
  const int last = cluster.topology.nodes() - 1;
  const auto is_node = [&](const Json& n) {
    return n.is_number_integer() && n.get<double>() >= 0 && n.get<double>() <= last;
  };
  if (nodes.size() != 2 || !is_node(nodes[0]) || !is_node(nodes[1]) || nodes[0] == nodes[1])
    fail_input({o.key_name("nodes"), nodes.dump(-1, ' ', false, Json::error_handler_t::replace),
                "two different nodes from 0 to " + std::to_string(last), ""});
  const std::pair<int, int> pair = std::minmax(nodes[0].get<int>(), nodes[1].get<int>());
  if (!cluster.pair_overrides.emplace(pair, read_link(o)).second)
    fail_input({o.key_name("nodes"),
                std::to_string(pair.first) + " and " + std::to_string(pair.second) + " again",
                "each pair of nodes once", ""});
}

void read_links(const JsonObject& o, Cluster& cluster) {
  if (!o.has("links")) return;
  const JsonObject links = o.object("links");
  refuse_other_keys(o.raw("links"), links.name(), {"intra_node", "inter_node", "pairs"});
  cluster.intra_node = read_link_at(links, "intra_node", cluster.intra_node);
  cluster.inter_node = read_link_at(links, "inter_node", cluster.inter_node);
  if (!links.has("pairs")) return;
  const Json& pairs = links.array("pairs");
  for (std::size_t i = 0; i < pairs.size(); ++i)
    read_pair(pairs[i], links.key_name("pairs") + "[" + std::to_string(i) + "]", cluster);
}

void read_compute(const JsonObject& o, Cluster& cluster) {
  if (!o.has("compute")) return;
  const JsonObject compute = o.object("compute");
  refuse_other_keys(o.raw("compute"), compute.name(),
                    {"tflops", "weights_gb_per_s", "hidden", "expert_width"});
  ComputeSpec& c = cluster.compute;
  c.flops_per_s = positive_or(compute, "tflops", c.flops_per_s * 1e-12) * 1e12;
  c.weight_bytes_per_s =
      positive_or(compute, "weights_gb_per_s", c.weight_bytes_per_s * 1e-9) * 1e9;
  c.hidden = static_cast<int>(compute.integer_or("hidden", 0, 0, 1 << 24));
  c.expert_width = static_cast<int>(compute.integer_or("expert_width", 0, 0, 1 << 24));
}

// With six significant digits, as short as it can be said.
double rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return std::stod(text);
}

OrderedJson link_json(const LinkSpec& link) {
  return {{"gbit_per_s", rounded(link.bytes_per_s / kBytesPerGbit)},
          {"latency_us", rounded(link.latency_s * 1e6)}};
}

OrderedJson devices_json(const Cluster& cluster, int node) {
  const auto first = cluster.devices.begin() + cluster.topology.first_device(node);
  const auto last = first + cluster.topology.devices_on(node);
  if (std::all_of(first, last, [](const DeviceSpec& d) { return d == DeviceSpec{}; }))
    return cluster.topology.devices_on(node);
  OrderedJson devices = OrderedJson::array();
  for (auto device = first; device != last; ++device) {
    OrderedJson one = {{"speed", rounded(device->speed)}};
    if (device->memory_bytes > 0) one["memory_gb"] = rounded(device->memory_bytes * 1e-9);
    devices.push_back(one);
  }
  return devices;
}

// One item a line.
std::string list_text(const std::vector<OrderedJson>& items, const std::string& indent) {
  std::string text = "[\n";
  for (std::size_t i = 0; i < items.size(); ++i)
    text += indent + "  " + items[i].dump() + (i + 1 < items.size() ? ",\n" : "\n");
  return text + indent + "]";
}

std::string nodes_text(const Cluster& cluster) {
  std::vector<OrderedJson> nodes;
  for (int node = 0; node < cluster.topology.nodes(); ++node) {
    OrderedJson one = {{"devices", devices_json(cluster, node)}};
    if (const auto own = cluster.node_overrides.find(node); own != cluster.node_overrides.end())
      one["link"] = link_json(own->second);
    nodes.push_back(std::move(one));
  }
  return list_text(nodes, "  ");
}

std::string pairs_text(const Cluster& cluster) {
  std::vector<OrderedJson> pairs;
  for (const auto& [nodes, link] : cluster.pair_overrides) {
    OrderedJson one = {{"nodes", {nodes.first, nodes.second}}};
    one.update(link_json(link));
    pairs.push_back(std::move(one));
  }
  return list_text(pairs, "    ");
}

}  // namespace

Cluster parse_cluster(const std::string& text, const std::string& name) {
  const Json json = parse_json(text, name);
  const JsonObject o(json, name);
  if (o.text("format") != "gracemoe-cluster")
    fail_input({o.key_name("format"), show_json(o.raw("format")), "\"gracemoe-cluster\"",
                "is this a cluster file?"});
  o.integer("version", kVersion, kVersion);
  refuse_other_keys(json, name, {"format", "version", "nodes", "links", "compute", "measured"});
  Cluster cluster;
  read_nodes(o, cluster);
  read_links(o, cluster);
  read_compute(o, cluster);
  cluster.measured = o.text_or("measured", "");
  return cluster;
}

Cluster read_cluster(const std::filesystem::path& path) {
  return parse_cluster(read_file(path), path.string());
}

std::string cluster_text(const Cluster& cluster) {
  OrderedJson compute = {{"tflops", rounded(cluster.compute.flops_per_s * 1e-12)},
                         {"weights_gb_per_s", rounded(cluster.compute.weight_bytes_per_s * 1e-9)}};
  if (cluster.compute.hidden > 0) compute["hidden"] = cluster.compute.hidden;
  if (cluster.compute.expert_width > 0) compute["expert_width"] = cluster.compute.expert_width;
  std::string text = "{\n  \"format\": \"gracemoe-cluster\",\n  \"version\": 1,\n  \"nodes\": " +
                     nodes_text(cluster) + ",\n  \"links\": {\n    \"intra_node\": " +
                     link_json(cluster.intra_node).dump() +
                     ",\n    \"inter_node\": " + link_json(cluster.inter_node).dump();
  if (!cluster.pair_overrides.empty()) text += ",\n    \"pairs\": " + pairs_text(cluster);
  text += "\n  },\n  \"compute\": " + compute.dump();
  if (!cluster.measured.empty())
    text +=
        ",\n  \"measured\": " +
        OrderedJson(cluster.measured).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  return text + "\n}\n";
}

void write_cluster(const std::filesystem::path& path, const Cluster& cluster) {
  write_file(path, cluster_text(cluster));
}

}  // namespace gracemoe
