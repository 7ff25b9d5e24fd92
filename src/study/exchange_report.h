// What a replay of the exchange measured, for people and scripts.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "study/exchange_replay.h"
#include "topology/topology.h"

namespace gracemoe {

struct ExchangeReport {
  std::vector<std::pair<std::string, std::string>> settings;  // in the order to print
  Topology topology;
  std::int64_t tokens = 0;  // of a round, all devices
  ReplayResult result;
  double link_bits_per_s = 0;  // of a node's link, each way; 0: unknown
};

struct ExchangeFigures {
  ReplayTimes median;  // the round of median total
  double fastest_s = 0, slowest_s = 0;
  LayerCounters sent;                   // all devices and layers, one round
  std::int64_t busiest_link_bytes = 0;  // payload, busier direction of the busiest node's link
  // Those bytes at the line rate, and the median round's total over it; 0: unknown.
  double bound_s = 0, over_bound = 0;
  // The same where every dispatch and combine waits for the busiest direction in it: a device with
  // much work receives most in a dispatch and sends most in a combine, and no step is like another.
  // With two lanes both are under way at once: step by step.
  std::int64_t busiest_by_phase_bytes = 0;
  double bound_by_phase_s = 0;
};
ExchangeFigures exchange_figures(const ExchangeReport& report);

std::string exchange_text(const ExchangeReport& report);
// {"format": "gracemoe-exchange", "version": 1, ...}; docs/formats.md.
std::string exchange_json(const ExchangeReport& report);

}  // namespace gracemoe
