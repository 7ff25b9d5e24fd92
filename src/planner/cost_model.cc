#include "planner/cost_model.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr double kBf16 = 2, kFloat32 = 4;
// Bytes a number of the shipped model's packed sums, measured.
constexpr double kPackedSum = 15.0 / 8;

// Operations of one token through one expert, and bytes of that expert: three matrices, at two
// operations a weight, of two bytes.
double expert_size(const ExpertShape& shape) {
  return 3.0 * kBf16 * shape.hidden * shape.width;
}

// [j] how many rows carry j entries -> mean bytes of a row, out and back.
LayerTraffic::RowBytes row_bytes(const StepWorkload& w, double sum_bytes,
                                 const std::vector<std::int64_t>& groups) {
  double rows = 0, dispatch = 0, combine = 0;
  for (std::size_t j = 1; j < groups.size(); ++j) {
    const auto count = static_cast<double>(groups[j]), entries = static_cast<double>(j);
    rows += count;
    dispatch += count * (w.row_bytes + entries * w.entry_bytes);
    combine += count * (j == 1 ? w.row_bytes : std::min(sum_bytes, entries * w.row_bytes));
  }
  if (!(rows > 0)) return {};
  return {dispatch / rows, combine / rows};
}

std::vector<double> scaled(const std::vector<std::int64_t>& counts, double factor) {
  std::vector<double> out(counts.size());
  std::transform(counts.begin(), counts.end(), out.begin(),
                 [&](std::int64_t count) { return static_cast<double>(count) * factor; });
  return out;
}

// Expected number of instances that at least one of `step_tokens` tokens uses.
double expected_active(const std::vector<std::int64_t>& uses, std::int64_t trace_tokens,
                       double step_tokens) {
  double active = 0;
  for (const std::int64_t count : uses) {
    const double p = static_cast<double>(count) / static_cast<double>(trace_tokens);
    active += p >= 1 ? 1 : -std::expm1(step_tokens * std::log1p(-p));
  }
  return active;
}

// One way between nodes. Out and back are alike: what a node sent, it then receives.
double cross_node_way(const Cluster& cluster, const LayerTraffic& traffic, double row_bytes) {
  const auto nodes = static_cast<std::size_t>(cluster.topology.nodes());
  double busiest = 0;
  for (std::size_t node = 0; node < nodes && nodes > 1; ++node) {
    double out = 0, in = 0;
    if (traffic.node_rows.empty()) {
      const double latency = static_cast<double>(nodes - 1) * cluster.inter_node.latency_s;
      out = latency + traffic.node_sent[node] * row_bytes / cluster.inter_node.bytes_per_s;
      in = latency + traffic.node_received[node] * row_bytes / cluster.inter_node.bytes_per_s;
    }
    for (std::size_t other = 0; other < nodes && !traffic.node_rows.empty(); ++other) {
      if (other == node) continue;
      const LinkSpec& link = cluster.node_link(static_cast<int>(node), static_cast<int>(other));
      out += link.seconds(traffic.node_rows[node * nodes + other] * row_bytes);
      in += link.seconds(traffic.node_rows[other * nodes + node] * row_bytes);
    }
    busiest = std::max({busiest, out, in});
  }
  return busiest;
}

double intra_node_way(const Cluster& cluster, const LayerTraffic& traffic, double row_bytes) {
  double busiest = 0;
  for (std::size_t d = 0; d < cluster.devices.size(); ++d) {
    const int node = cluster.topology.node_of(static_cast<int>(d));
    const LinkSpec& link = cluster.node_link(node, node);
    busiest = std::max(
        busiest, (cluster.topology.devices_on(node) - 1) * link.latency_s +
                     std::max(traffic.sent[d], traffic.received[d]) * row_bytes / link.bytes_per_s);
  }
  return busiest;
}

double compute_time(const CostModel& model, const LayerTraffic& traffic) {
  double slowest = 0;
  for (std::size_t d = 0; d < model.cluster.devices.size(); ++d)
    slowest = std::max(slowest, (traffic.entries[d] * model.seconds_per_token_expert +
                                 traffic.active[d] * model.seconds_per_expert_read) /
                                    model.cluster.devices[d].speed);
  return slowest;
}

void check_shapes(const CostModel& model, const LayerTraffic& traffic) {
  const auto devices = static_cast<std::size_t>(model.cluster.topology.devices());
  const auto nodes = static_cast<std::size_t>(model.cluster.topology.nodes());
  GM_CHECK(model.cluster.devices.size() == devices, "a cluster describes each of its devices");
  GM_CHECK(traffic.entries.size() == devices && traffic.active.size() == devices &&
               traffic.sent.size() == devices && traffic.received.size() == devices,
           "traffic is of another topology: devices");
  GM_CHECK(traffic.node_sent.size() == nodes && traffic.node_received.size() == nodes &&
               (traffic.node_rows.empty() || traffic.node_rows.size() == nodes * nodes),
           "traffic is of another topology: nodes");
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

// A line has room for so many figures of one kind.
constexpr std::size_t kMostListed = 16;

std::string links_text(const Cluster& cluster) {
  std::vector<std::string> parts{"between nodes " + to_string(cluster.inter_node),
                                 "inside a node " + to_string(cluster.intra_node)};
  for (const auto& [nodes, link] : cluster.pair_overrides)
    parts.push_back("nodes " + std::to_string(nodes.first) + "-" + std::to_string(nodes.second) +
                    " " + to_string(link));
  for (const auto& [node, link] : cluster.node_overrides)
    parts.push_back("inside node " + std::to_string(node) + " " + to_string(link));
  std::string text;
  for (std::size_t i = 0; i < std::min(parts.size(), kMostListed); ++i)
    text += (i == 0 ? "" : "; ") + parts[i];
  if (parts.size() > kMostListed)
    text += "; " + std::to_string(parts.size() - kMostListed) + " more links of their own";
  return text;
}

std::string speeds_text(const Cluster& cluster) {
  std::vector<double> speeds;
  for (const DeviceSpec& device : cluster.devices) speeds.push_back(device.speed);
  const auto [slowest, fastest] = std::minmax_element(speeds.begin(), speeds.end());
  if (speeds.empty() || (*slowest == 1 && *fastest == 1)) return "";
  if (speeds.size() > kMostListed)
    return "; device speeds " + short_number(*slowest) + " to " + short_number(*fastest);
  std::string text = "; device speeds";
  for (const double speed : speeds) text += " " + short_number(speed);
  return text;
}

}  // namespace

StepWorkload step_workload(const ExpertShape& shape, double tokens_per_device) {
  StepWorkload w;
  w.tokens_per_device = tokens_per_device;
  w.row_bytes = kBf16 * shape.hidden;
  w.return_row_bytes = kFloat32 * shape.hidden;
  w.cross_return_row_bytes = kPackedSum * shape.hidden;
  w.entry_bytes = 7;  // expert u16, device u8, weight f32 (exchange/wire.h)
  w.expert_bytes = expert_size(shape);
  return w;
}

CostModel make_cost_model(const Cluster& cluster, const ExpertShape& shape,
                          double tokens_per_device) {
  CostModel model;
  model.cluster = cluster;
  model.workload = step_workload(shape, tokens_per_device);
  model.seconds_per_token_expert = expert_size(shape) / cluster.compute.flops_per_s;
  model.seconds_per_expert_read = expert_size(shape) / cluster.compute.weight_bytes_per_s;
  return model;
}

LayerTraffic step_traffic(const CostModel& model, const RoutingMetrics& layer) {
  LayerTraffic traffic;
  const double step_tokens =
      model.workload.tokens_per_device * static_cast<double>(layer.load.size());
  const double factor = layer.tokens > 0 ? step_tokens / static_cast<double>(layer.tokens) : 0;
  traffic.node_rows = scaled(layer.node_pair_rows, factor);
  traffic.node_sent = scaled(layer.node_sent, factor);
  traffic.node_received = scaled(layer.node_received, factor);
  traffic.cross =
      row_bytes(model.workload, model.workload.cross_return_row_bytes, layer.node_groups);
  traffic.sent = scaled(layer.intra_sent, factor);
  traffic.received = scaled(layer.intra_received, factor);
  traffic.intra = row_bytes(model.workload, model.workload.return_row_bytes, layer.intra_groups);
  traffic.entries = scaled(layer.load, factor);
  GM_CHECK(layer.instance_load.size() == layer.load.size(), "metrics of one layer are wanted");
  for (const auto& uses : layer.instance_load)
    traffic.active.push_back(layer.tokens > 0 ? expected_active(uses, layer.tokens, step_tokens)
                                              : 0);
  return traffic;
}

LayerTime predict(const CostModel& model, const LayerTraffic& traffic) {
  check_shapes(model, traffic);
  LayerTime time;
  time.cross_node_s = cross_node_way(model.cluster, traffic, traffic.cross.dispatch) +
                      cross_node_way(model.cluster, traffic, traffic.cross.combine);
  time.intra_node_s = intra_node_way(model.cluster, traffic, traffic.intra.dispatch) +
                      intra_node_way(model.cluster, traffic, traffic.intra.combine);
  time.compute_s = compute_time(model, traffic);
  return time;
}

LayerTime predict(const CostModel& model, const RoutingMetrics& layer) {
  if (layer.tokens == 0) return {};
  return predict(model, step_traffic(model, layer));
}

LayerTime mean_layer_time(const CostModel& model, const PlanMetrics& metrics) {
  LayerTime mean;
  const auto layers = static_cast<double>(metrics.layers.size());
  for (const RoutingMetrics& layer : metrics.layers) {
    const LayerTime time = predict(model, layer);
    mean.cross_node_s += time.cross_node_s / layers;
    mean.intra_node_s += time.intra_node_s / layers;
    mean.compute_s += time.compute_s / layers;
  }
  return mean;
}

std::string describe(const CostModel& model) {
  const StepWorkload& w = model.workload;
  const std::string& measured = model.cluster.measured;
  return short_number(w.tokens_per_device) + " tokens a device and step, rows of " +
         short_number(w.row_bytes) + " bytes out, sums of " + short_number(w.return_row_bytes) +
         " back (" + short_number(w.cross_return_row_bytes) + " between nodes), " +
         short_number(w.entry_bytes) + " bytes an entry, experts of " +
         short_number(w.expert_bytes * 1e-6) + " MB; " + links_text(model.cluster) + "; " +
         short_number(model.seconds_per_token_expert * 1e6) + " us a token and expert, " +
         short_number(model.seconds_per_expert_read * 1e6) + " us an expert read" +
         speeds_text(model.cluster) + "; figures " +
         (measured.empty() ? "assumed" : "from " + measured);
}

void note_predicted_time(Plan& plan, const PlanMetrics& metrics, const CostModel& model) {
  GM_CHECK(plan.layers.size() == metrics.layers.size(), "metrics are of another plan");
  for (std::size_t l = 0; l < plan.layers.size(); ++l)
    plan.layers[l].predicted_time = predict(model, metrics.layers[l]);
  plan.time_basis = describe(model);
}

}  // namespace gracemoe
