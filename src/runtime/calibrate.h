// Measures the links and the devices at hand: what `gracemoe calibrate` writes as a cluster file.
#pragma once
#include <array>
#include <functional>
#include <string>
#include <vector>

#include "compute/backend.h"
#include "exchange/transport.h"
#include "runtime/line_fit.h"
#include "topology/cluster.h"

namespace gracemoe {

struct CalibrateOptions {
  int hidden = 0, expert_width = 0;  // shape of an expert
  int experts = 0;                   // of a layer, over all devices
  double seconds = 12;               // about so long in all, half on links, half on experts
  std::function<double()> clock;     // wall seconds; tests put their own
  // Seconds of this rank's computing. Wall time where ranks have cores of their own; where they
  // share them, a step takes its time or that and a neighbour's, and CPU time tells more.
  std::function<double()> compute_clock;
  std::function<void()> step_done = nullptr;  // calibrate_steps() times; may be empty
};
int calibrate_steps(const Topology& topology);

// Tokens an expert that are tried: from decoding a few sequences to prefill.
constexpr std::array<int, 8> kExpertRows{1, 2, 4, 8, 16, 32, 64, 128};

struct LinkCalibration {
  bool measured = false;  // false: the default stands, since the class does not exist or all failed
  double error = 0;       // of the lines that were fitted, mean; relative (Line::error)
  // Links whose times do not show their bytes (cores too busy, time too short): they have no
  // figures and are in no median. `trouble`: the first of them, with its times; empty: none.
  int failed = 0, links = 0;
  std::string trouble;
};

struct Calibration {
  Cluster cluster;
  LinkCalibration intra_node, inter_node;
  // One expert on a device of speed 1: seconds over its tokens. Intercept: reading the weights;
  // slope: a token.
  Line expert;
  std::vector<double> expert_seconds;  // [kExpertRows] as measured; shorter where time was short
};

// Collective; the same result on every rank. Devices and pairs are measured at the same time, as
// they work in a run.
//   between nodes  every pair of nodes (of more than kMostRounds + 1 nodes: kMostRounds partners of
//                  each), all devices of the two with their peers together
//   inside nodes   neighbouring devices of each node
//   experts        the backend's own kernels on random weights, cold in the cache, for 1 to 128
//                  tokens an expert
// The classes' figures are the medians; a node or a pair keeps its own where it is off by more than
// a quarter in bandwidth, or by more than twice and 5 us in latency. Devices within a tenth of the
// fastest are taken as alike: their speed is 1.
Calibration calibrate(Transport& transport, const Topology& topology, const Backend& backend,
                      const CalibrateOptions& options);
constexpr int kMostRounds = 15;

// Error (kUsage) with the class's trouble where links exist and none could be measured.
void require_measured(const Calibration& calibration);

// The two halves.
void calibrate_links(Transport& transport, const CalibrateOptions& options, Calibration& result);
void calibrate_experts(Transport& transport, const Backend& backend,
                       const CalibrateOptions& options, Calibration& result);

}  // namespace gracemoe
