// The collective part of gracemoe doctor: every rank tells of itself, every pair of ranks meets,
// clocks and links are measured.
#pragma once
#include <functional>

#include "doctor/findings.h"
#include "exchange/transport.h"

namespace gracemoe {

struct ExamineOptions {
  FactsRequest facts;
  std::string host;
  bool declared = false;          // the topology
  double link_seconds = 5;        // to measure links for, about; 0: not at all
  std::function<double()> clock;  // wall seconds; tests put their own
  std::function<void(const std::string& doing)> announce = nullptr;  // may be empty
};

// Collective; complete on rank 0. Error (kPeer) naming the two ranks that cannot reach each other
// within the transport's timeout.
Examination examine(const ExamineOptions& options, const Topology& topology, Transport& transport);

// Swaps a byte between every two ranks, in rounds. Collective.
void meet_everyone(Transport& transport);

struct ClockDifference {
  double offset_s = 0, error_s = 0;
};
// [ranks] every clock minus rank 0's, on rank 0; empty elsewhere. The error is half of the quickest
// of ten round trips. Collective. `now`: this rank's clock, seconds.
std::vector<ClockDifference> compare_clocks(Transport& transport,
                                            const std::function<double()>& now);

}  // namespace gracemoe
