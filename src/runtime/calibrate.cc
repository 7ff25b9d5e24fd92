#include "runtime/calibrate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "base/median.h"
#include "exchange/link_timing.h"

namespace gracemoe {
namespace {

// From latency alone to a large step's message; times 4 each. The last two are for links between
// cores so busy that a message waits longer for them than 4 MiB take.
const std::vector<std::size_t> kSizes{256,    1024,    4096,    16384,    65536,
                                      262144, 1048576, 4194304, 16777216, 67108864};
constexpr std::size_t kEnoughBytes = 4194304;

using Round = std::vector<int>;  // [devices] partner, -1: none

int inter_node_rounds(const Topology& topology) {
  const int nodes = topology.nodes();
  return nodes < 2 ? 0 : std::min(kMostRounds, nodes - 1 + nodes % 2);
}

bool has_neighbours(const Topology& topology) {
  return topology.devices() > topology.nodes();
}

Round neighbours(const Topology& topology) {
  Round partner(static_cast<std::size_t>(topology.devices()), -1);
  for (int d = 0; d < topology.devices(); ++d) {
    const int other = topology.local_index(d) % 2 == 0 ? d + 1 : d - 1;
    if (other < topology.devices() && topology.node_of(other) == topology.node_of(d))
      partner[static_cast<std::size_t>(d)] = other;
  }
  return partner;
}

// Devices of nodes that meet, as far as both nodes have as many.
Round peers(const Topology& topology, const std::vector<int>& opponent) {
  Round partner(static_cast<std::size_t>(topology.devices()), -1);
  for (int d = 0; d < topology.devices(); ++d) {
    const int other = opponent[static_cast<std::size_t>(topology.node_of(d))];
    if (other >= 0 && topology.local_index(d) < topology.devices_on(other))
      partner[static_cast<std::size_t>(d)] = topology.first_device(other) + topology.local_index(d);
  }
  return partner;
}

struct MeasuredLink {
  LinkSpec link;
  double error = 0;
  std::string trouble = {};  // why there are no figures; empty: there are
};

// Of the last size's time over a small one's: below that, a line's slope is chance.
constexpr double kFelt = 2;

std::string unmeasured(const std::vector<std::size_t>& sizes, const std::vector<double>& seconds) {
  return fmt::format(
      "messages of {} to {} bytes took {:.3g} to {:.3g} ms: what a byte takes cannot be told from "
      "what a message takes",
      sizes.front(), sizes.back(), 1e3 * seconds.front(), 1e3 * seconds.back());
}

// `devices` carry the link's bytes together; the link is done when the last of them is.
MeasuredLink fit_link(const std::vector<std::vector<double>>& times,
                      const std::vector<int>& devices) {
  std::vector<double> bytes, seconds;
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < times.size(); ++i) {
    double longest = 0;
    bool all = true;
    for (const int d : devices) {
      const double t = times[i][static_cast<std::size_t>(d)];
      longest = std::max(longest, t);
      all = all && t > 0;
    }
    if (!all) continue;
    sizes.push_back(kSizes[i]);
    bytes.push_back(static_cast<double>(kSizes[i] * devices.size()));
    seconds.push_back(longest);
  }
  GM_CHECK(!bytes.empty(), "no message of a link was timed");
  if (!bytes_are_felt(sizes, seconds, kFelt)) return {{}, 0, unmeasured(sizes, seconds)};
  const Line line = fit_line(bytes, seconds);
  if (line.slope <= 0) return {{}, 0, unmeasured(sizes, seconds)};
  // What the smallest message takes beyond its bytes: the line's own intercept tells more of how
  // middle sizes bend (caches, bursts, protocols) than of latency.
  const double latency = std::max(0.0, seconds[0] - line.slope * bytes[0]);
  return {{latency, 1 / line.slope}, line.error};
}

// The class's figures: medians. Returns the links that need their own.
template <typename Key, typename Name>
std::map<Key, LinkSpec> settle(std::map<Key, MeasuredLink> links, const Name& name,
                               LinkSpec& typical, LinkCalibration& note) {
  std::map<Key, LinkSpec> own;
  note.links = static_cast<int>(links.size());
  for (const auto& [key, measured] : links)
    if (note.trouble.empty() && !measured.trouble.empty())
      note.trouble = name(key) + ": " + measured.trouble;
  note.failed = static_cast<int>(
      std::erase_if(links, [](const auto& link) { return !link.second.trouble.empty(); }));
  if (links.empty()) return own;
  std::vector<double> latency, bandwidth;
  note.measured = true;
  for (const auto& [key, measured] : links) {
    latency.push_back(measured.link.latency_s);
    bandwidth.push_back(measured.link.bytes_per_s);
    note.error += measured.error / static_cast<double>(links.size());
  }
  typical = {median(latency), median(bandwidth)};
  constexpr double kOtherBandwidth = 1.25, kOtherLatency = 2, kOtherLatencySeconds = 5e-6;
  for (const auto& [key, measured] : links) {
    const auto [low, high] = std::minmax(measured.link.latency_s, typical.latency_s);
    const double ratio = measured.link.bytes_per_s / typical.bytes_per_s;
    if (std::max(ratio, 1 / ratio) > kOtherBandwidth ||
        (high > kOtherLatency * low && high - low > kOtherLatencySeconds))
      own.emplace(key, measured.link);
  }
  return own;
}

SwapOptions swap_options(const CalibrateOptions& options, int rounds) {
  SwapOptions swap;
  swap.sizes = kSizes;
  swap.enough_bytes = kEnoughBytes;
  swap.clock = options.clock;
  swap.size_done = options.step_done;
  const double round = options.seconds / 2 / std::max(1, rounds);
  swap.seconds_per_size = round / static_cast<double>(kSizes.size());
  swap.longest_seconds = std::max(0.02, round / 16);
  return swap;
}

void calibrate_inside_nodes(Transport& transport, const SwapOptions& swap, Calibration& result) {
  const Topology& topology = result.cluster.topology;
  const auto times = time_swaps(transport, neighbours(topology), swap);
  std::map<int, MeasuredLink> links;
  for (int node = 0; node < topology.nodes(); ++node) {
    std::vector<double> latency, bandwidth;
    double error = 0;
    std::string trouble;
    for (int pair = 0; pair < topology.devices_on(node) / 2; ++pair) {
      const MeasuredLink one = fit_link(times, {topology.first_device(node) + 2 * pair});
      if (!one.trouble.empty()) {
        trouble = one.trouble;
        continue;
      }
      latency.push_back(one.link.latency_s);
      bandwidth.push_back(one.link.bytes_per_s);
      error = std::max(error, one.error);
    }
    if (!latency.empty())
      links[node] = {{median(latency), median(bandwidth)}, error};
    else if (!trouble.empty())
      links[node] = {{}, 0, trouble};
  }
  result.cluster.node_overrides = settle(
      std::move(links), [](int node) { return "node " + std::to_string(node); },
      result.cluster.intra_node, result.intra_node);
}

void calibrate_between_nodes(Transport& transport, const SwapOptions& swap, Calibration& result) {
  const Topology& topology = result.cluster.topology;
  std::map<std::pair<int, int>, MeasuredLink> links;
  const auto rounds = round_robin(topology.nodes());
  for (int r = 0; r < inter_node_rounds(topology); ++r) {
    const std::vector<int>& opponent = rounds[static_cast<std::size_t>(r)];
    const auto times = time_swaps(transport, peers(topology, opponent), swap);
    for (int node = 0; node < topology.nodes(); ++node) {
      const int other = opponent[static_cast<std::size_t>(node)];
      if (other < node) continue;  // -1, or told from the other side
      std::vector<int> devices;
      for (int g = 0; g < std::min(topology.devices_on(node), topology.devices_on(other)); ++g)
        devices.push_back(topology.first_device(node) + g);
      links[{node, other}] = fit_link(times, devices);
    }
  }
  result.cluster.pair_overrides = settle(
      std::move(links),
      [](const std::pair<int, int>& nodes) {
        return "nodes " + std::to_string(nodes.first) + " and " + std::to_string(nodes.second);
      },
      result.cluster.inter_node, result.inter_node);
}

}  // namespace

int calibrate_steps(const Topology& topology) {
  const int rounds = inter_node_rounds(topology) + (has_neighbours(topology) ? 1 : 0);
  return rounds * static_cast<int>(kSizes.size()) + static_cast<int>(kExpertRows.size());
}

void require_measured(const Calibration& calibration) {
  for (const LinkCalibration* link : {&calibration.intra_node, &calibration.inter_node})
    if (link->links > 0 && !link->measured)
      fail_usage({"links could not be measured", link->trouble, "",
                  "measure while the cores are idle, or for more --seconds"});
}

void calibrate_links(Transport& transport, const CalibrateOptions& options, Calibration& result) {
  const Topology& topology = result.cluster.topology;
  GM_CHECK(transport.size() == topology.devices(), "calibrate: one rank a device");
  const int rounds = inter_node_rounds(topology) + (has_neighbours(topology) ? 1 : 0);
  const SwapOptions swap = swap_options(options, rounds);
  if (has_neighbours(topology)) calibrate_inside_nodes(transport, swap, result);
  if (topology.nodes() > 1) calibrate_between_nodes(transport, swap, result);
}

Calibration calibrate(Transport& transport, const Topology& topology, const Backend& backend,
                      const CalibrateOptions& options) {
  Calibration result;
  result.cluster = Cluster::uniform(topology);
  calibrate_experts(transport, backend, options, result);
  calibrate_links(transport, options, result);
  return result;
}

}  // namespace gracemoe
