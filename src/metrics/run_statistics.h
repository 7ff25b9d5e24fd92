// Everything that is measured in one run of a workload: seconds per device, bytes and load per
// layer and device. The runtime fills it, the report reads it; in between it is a JSON file (format
// "gracemoe-run", version 1; docs/formats.md). Depends on base/ alone, so that the runtime need not
// know the report.
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "metrics/machine.h"

namespace gracemoe {

// Bytes *sent* by a device: a sum over devices counts every byte once.
struct SentBytes {
  std::int64_t cross_node = 0;  // to devices of other nodes
  std::int64_t intra_node = 0;  // to other devices of its own node
  friend bool operator==(const SentBytes&, const SentBytes&) = default;
};

// One device in one MoE layer, summed over all steps of the run.
struct LayerDeviceStatistics {
  std::int64_t load = 0;                          // (token, expert instance) pairs computed here
  SentBytes dispatch_payload, combine_payload;    // rows of activations, outputs and partial sums
  SentBytes dispatch_metadata, combine_metadata;  // headers and routing entries
  std::int64_t received_payload = 0;              // from other nodes, dispatch and combine
  std::int64_t cross_node_rows = 0;               // rows sent to other nodes in dispatch
  std::int64_t rows_handed_over = 0;              // to others of its node, for them to send
  std::int64_t messages = 0;
  // Seconds as in DeviceStatistics.
  double dispatch_s = 0, combine_s = 0, moe_layer_s = 0, expert_compute_s = 0, idle_s = 0;
  friend bool operator==(const LayerDeviceStatistics&, const LayerDeviceStatistics&) = default;
};

// One device (= one rank) over the whole run. Seconds are wall time, summed over layers and steps.
struct DeviceStatistics {
  int node = 0;
  std::string host;
  double dispatch_s = 0;                   // inside dispatch, waiting included
  double combine_s = 0;                    // inside combine, waiting included
  double expert_compute_s = 0;             // the experts' products
  double idle_s = 0;                       // waiting for the slowest device
  double moe_layer_s = 0;                  // whole MoE layers: gate, dispatch, experts, combine
  std::int64_t resident_expert_bytes = 0;  // expert weights held in memory
  std::int64_t checkpoint_bytes_read = 0;
  std::int64_t tokens = 0;  // tokens that had their home here (prompt and generated)
  double all_to_all_s() const { return dispatch_s + combine_s; }
  friend bool operator==(const DeviceStatistics&, const DeviceStatistics&) = default;
};

struct Workload {
  std::int64_t prompts = 0;
  std::int64_t prompt_tokens = 0;
  std::int64_t generated_tokens = 0;
  friend bool operator==(const Workload&, const Workload&) = default;
};

struct RunStatistics {
  std::string name;  // "vanilla", "grace", ...: the row's name in a comparison
  // What was run, in the order to print: model, plan, exchange, routing, reduction, topology,
  // ranks, backend, threads, ... Keys are distinct.
  std::vector<std::pair<std::string, std::string>> settings;
  MachineInfo machine;
  Workload workload;
  double end_to_end_s = 0;  // first prompt in, last token out, on the slowest rank
  double prefill_s = 0;
  double decode_s = 0;
  std::vector<DeviceStatistics> devices;                   // [devices]
  std::vector<std::vector<LayerDeviceStatistics>> layers;  // [MoE layers][devices]
  // The setting's value; empty where there is none.
  std::string setting(const std::string& key) const;
  friend bool operator==(const RunStatistics&, const RunStatistics&) = default;
};

// Errors (kInput): malformed JSON, a file of another kind or version, a missing key, a negative or
// non-finite number, arrays of other lengths than there are devices. Every message names the file
// and the key.
RunStatistics read_run_statistics(const std::filesystem::path& path);
RunStatistics parse_run_statistics(const std::string& text, const std::string& name);
// The same checks for a structure (GM_CHECK, kInternal), then the file. The derived figures below
// are written along, for scripts; the reader ignores them.
std::string run_statistics_json(const RunStatistics& run);
void write_run_statistics(const std::filesystem::path& path, const RunStatistics& run);

// Derived figures (method.md section 7). All are 0 for a run without devices or layers.

double mean_all_to_all_s(const RunStatistics& run);  // over devices
double max_all_to_all_s(const RunStatistics& run);
double mean_expert_compute_s(const RunStatistics& run);
double mean_idle_s(const RunStatistics& run);

// Sums over devices and layers.
struct TrafficTotals {
  SentBytes dispatch_payload, combine_payload, dispatch_metadata, combine_metadata;
  std::int64_t cross_node_rows = 0, messages = 0;
  SentBytes payload() const;   // dispatch + combine
  SentBytes metadata() const;  // dispatch + combine
};
TrafficTotals total_traffic(const RunStatistics& run);
double cross_node_mb(const RunStatistics& run);  // payload, 10^6 bytes
double intra_node_mb(const RunStatistics& run);

// Of the node whose link to the others carries most in one direction: that direction's payload of
// dispatch and combine.
struct BusiestLink {
  int node = 0;
  std::int64_t bytes = 0;
};
BusiestLink busiest_link(const RunStatistics& run);

struct LoadBalance {
  double std =
      0;  // population standard deviation over devices, mean over layers; (token, expert) pairs
  double max_over_mean =
      0;  // busiest device / mean device in a layer, mean over layers; 1 is perfect
  double worst_max_over_mean = 0;  // the same, of the worst layer
};
// A layer without load counts as balanced: std 0, max / mean 1.
LoadBalance load_balance(const RunStatistics& run);
// The busiest / the mean; 1 where all are 0 or there are none.
double max_over_mean(const std::vector<double>& loads);

double tokens_per_second(const RunStatistics& run);  // generated tokens over end-to-end time
double prefill_tokens_per_second(const RunStatistics& run);  // prompt tokens over prefill time
double decode_tokens_per_second(const RunStatistics& run);   // generated tokens over decode time

}  // namespace gracemoe
