// What a cluster is made of, beyond its shape: how fast its links and its devices are. Written by
// hand or by `gracemoe calibrate`, read by the planner's cost model.
//
// Link classes: "intra_node" joins two devices of a node, "inter_node" joins two nodes. A node may
// have its own intra-node link, a pair of nodes its own inter-node link; links are symmetric.
//   time of a message = latency_s + bytes / bytes_per_s
// The devices of a node share its links to other nodes: bytes_per_s of an inter-node link is what
// they reach together. Of an intra-node link it is what one pair of devices reaches.
//
// File (JSON, a person can write it; every key but those of the first two lines may be left out):
//   {"format": "gracemoe-cluster", "version": 1,
//    "nodes": [{"devices": 2},
//              {"devices": [{"speed": 0.5, "memory_gb": 40}, {}],
//               "link": {"gbit_per_s": 300, "latency_us": 3}}],
//    "links": {"intra_node": {"gbit_per_s": 200, "latency_us": 5},
//              "inter_node": {"gbit_per_s": 25, "latency_us": 20},
//              "pairs": [{"nodes": [0, 1], "gbit_per_s": 10, "latency_us": 50}]},
//    "compute": {"tflops": 100, "weights_gb_per_s": 1400, "hidden": 2048, "expert_width": 1024},
//    "measured": "..."}
// A key that is not known is refused: a misspelt one would silently leave a default in place.
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "topology/topology.h"

namespace gracemoe {

struct LinkSpec {
  double latency_s = 0;    // >= 0
  double bytes_per_s = 1;  // > 0
  double seconds(double bytes) const { return latency_s + bytes / bytes_per_s; }
  friend bool operator==(const LinkSpec&, const LinkSpec&) = default;
};

struct DeviceSpec {
  double speed = 1;         // > 0; of its computation, relative to ComputeSpec
  double memory_bytes = 0;  // for expert weights; 0: unlimited
  friend bool operator==(const DeviceSpec&, const DeviceSpec&) = default;
};

// A device of speed 1 at the work of experts. One token through one expert [width, hidden] takes
// 6 * hidden * width operations; reading the expert takes as many bytes (three bf16 matrices).
struct ComputeSpec {
  double flops_per_s = 100e12;
  double weight_bytes_per_s = 1.4e12;
  // The shape it was measured on, which is also the one to assume where none is named; 0: none.
  int hidden = 0, expert_width = 0;
  friend bool operator==(const ComputeSpec&, const ComputeSpec&) = default;
};

// Where nobody says otherwise: servers of GPUs on PCIe 4 with one 25 Gbit/s network card, the
// setting that the published method was measured in. 200 of PCIe 4 x16's 252 Gbit/s are usually
// reached; ComputeSpec's figures are about a third of the peak and two thirds of the memory
// bandwidth of an 80 GB GPU of that generation. Not a measurement: `gracemoe calibrate` makes one.
constexpr LinkSpec kDefaultIntraNode{5e-6, 200e9 / 8};
constexpr LinkSpec kDefaultInterNode{20e-6, 25e9 / 8};

struct Cluster {
  Topology topology;
  std::vector<DeviceSpec> devices;  // [topology.devices()]
  LinkSpec intra_node = kDefaultIntraNode;
  LinkSpec inter_node = kDefaultInterNode;
  std::map<int, LinkSpec> node_overrides;                  // node: its intra-node link
  std::map<std::pair<int, int>, LinkSpec> pair_overrides;  // (lower node, higher node)
  ComputeSpec compute;
  std::string measured;  // where the figures are from, for people; empty: assumed

  // All devices and links alike, with the default figures above.
  static Cluster uniform(const Topology& topology);

  bool same_speeds() const;

  // Between two different nodes, in either order; the intra-node link where they are the same.
  const LinkSpec& node_link(int from_node, int to_node) const;
  // Between two different devices: the link of their node or of their nodes.
  const LinkSpec& link(int from_device, int to_device) const;
  friend bool operator==(const Cluster&, const Cluster&) = default;
};

// Errors (kInput): malformed, an unknown key, a number out of range.
Cluster read_cluster(const std::filesystem::path& path);
Cluster parse_cluster(const std::string& text, const std::string& name);
// Figures are written with six significant digits: reading the text and writing it again gives the
// same text.
std::string cluster_text(const Cluster& cluster);
void write_cluster(const std::filesystem::path& path, const Cluster& cluster);

// What a --topology option may say: a cluster file (its name ends in .json), or a shape as
// Topology::parse reads it, which becomes a uniform cluster. Errors: kInput, kUsage.
Cluster cluster_from_option(const std::string& text);

// "25 Gbit/s, 20 us", for tables and descriptions.
std::string to_string(const LinkSpec& link);

}  // namespace gracemoe
