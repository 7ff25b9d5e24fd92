#include "metrics/run_statistics.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

namespace gracemoe {
namespace {

SentBytes operator+(SentBytes a, SentBytes b) {
  return {a.cross_node + b.cross_node, a.intra_node + b.intra_node};
}

template <typename Figure>
double mean_over_devices(const RunStatistics& run, Figure figure) {
  if (run.devices.empty()) return 0;
  double sum = 0;
  for (const auto& device : run.devices) sum += figure(device);
  return sum / static_cast<double>(run.devices.size());
}

std::vector<double> loads_of(const std::vector<LayerDeviceStatistics>& layer) {
  std::vector<double> loads;
  loads.reserve(layer.size());
  for (const auto& device : layer) loads.push_back(static_cast<double>(device.load));
  return loads;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double population_std(const std::vector<double>& values) {
  const double mean = mean_of(values);
  double sum = 0;
  for (const double v : values) sum += (v - mean) * (v - mean);
  return std::sqrt(sum / static_cast<double>(values.size()));
}

double rate(std::int64_t tokens, double seconds) {
  return seconds > 0 ? static_cast<double>(tokens) / seconds : 0;
}

}  // namespace

std::string RunStatistics::setting(const std::string& key) const {
  for (const auto& [k, value] : settings) {
    if (k == key) return value;
  }
  return "";
}

double mean_all_to_all_s(const RunStatistics& run) {
  return mean_over_devices(run, [](const DeviceStatistics& d) { return d.all_to_all_s(); });
}

double max_all_to_all_s(const RunStatistics& run) {
  double most = 0;
  for (const auto& device : run.devices) most = std::max(most, device.all_to_all_s());
  return most;
}

double mean_expert_compute_s(const RunStatistics& run) {
  return mean_over_devices(run, [](const DeviceStatistics& d) { return d.expert_compute_s; });
}

double mean_idle_s(const RunStatistics& run) {
  return mean_over_devices(run, [](const DeviceStatistics& d) { return d.idle_s; });
}

SentBytes TrafficTotals::payload() const {
  return dispatch_payload + combine_payload;
}
SentBytes TrafficTotals::metadata() const {
  return dispatch_metadata + combine_metadata;
}

TrafficTotals total_traffic(const RunStatistics& run) {
  TrafficTotals total;
  for (const auto& layer : run.layers) {
    for (const auto& device : layer) {
      total.dispatch_payload = total.dispatch_payload + device.dispatch_payload;
      total.combine_payload = total.combine_payload + device.combine_payload;
      total.dispatch_metadata = total.dispatch_metadata + device.dispatch_metadata;
      total.combine_metadata = total.combine_metadata + device.combine_metadata;
      total.cross_node_rows += device.cross_node_rows;
      total.messages += device.messages;
    }
  }
  return total;
}

BusiestLink busiest_link(const RunStatistics& run) {
  struct Directions {
    std::int64_t out = 0, in = 0;
  };
  std::map<int, Directions> links;
  for (const auto& layer : run.layers) {
    for (std::size_t d = 0; d < layer.size(); ++d) {
      Directions& link = links[run.devices[d].node];
      link.out += layer[d].dispatch_payload.cross_node + layer[d].combine_payload.cross_node;
      link.in += layer[d].received_payload;
    }
  }
  BusiestLink busiest;
  for (const auto& [node, link] : links)
    if (std::max(link.out, link.in) > busiest.bytes) busiest = {node, std::max(link.out, link.in)};
  return busiest;
}

double cross_node_mb(const RunStatistics& run) {
  return 1e-6 * static_cast<double>(total_traffic(run).payload().cross_node);
}

double intra_node_mb(const RunStatistics& run) {
  return 1e-6 * static_cast<double>(total_traffic(run).payload().intra_node);
}

double max_over_mean(const std::vector<double>& loads) {
  if (loads.empty()) return 1;
  const double mean = mean_of(loads);
  return mean > 0 ? *std::max_element(loads.begin(), loads.end()) / mean : 1;
}

LoadBalance load_balance(const RunStatistics& run) {
  LoadBalance balance;
  if (run.layers.empty() || run.devices.empty()) return balance;
  const auto layers = static_cast<double>(run.layers.size());
  for (const auto& layer : run.layers) {
    const auto loads = loads_of(layer);
    const double ratio = max_over_mean(loads);
    balance.std += population_std(loads) / layers;
    balance.max_over_mean += ratio / layers;
    balance.worst_max_over_mean = std::max(balance.worst_max_over_mean, ratio);
  }
  return balance;
}

double tokens_per_second(const RunStatistics& run) {
  return rate(run.workload.generated_tokens, run.end_to_end_s);
}
double prefill_tokens_per_second(const RunStatistics& run) {
  return rate(run.workload.prompt_tokens, run.prefill_s);
}
double decode_tokens_per_second(const RunStatistics& run) {
  return rate(run.workload.generated_tokens, run.decode_s);
}

}  // namespace gracemoe
