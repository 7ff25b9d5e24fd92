// A made-up job for exchanges, the same on every rank from its seed alone: tokens, routes under a
// plan with replicas, and a stand-in for the experts. run_case() compares a real exchange on one
// rank with slow twins: the sum taken directly from everybody's data, and the traffic counted from
// everybody's routes. Used over threads and, in a program of its own, over MPI.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "exchange/exchange.h"

namespace gracemoe {

enum class Pattern {
  kRandom,         // random experts, a random instance of each
  kOneExpert,      // the first slot of every token is expert 0, on its first instance
  kOneDevice,      // everything on the last device
  kFirstNodeOnly,  // other nodes have no work
  kLocalOnly,      // every instance on the token's home
  kNoToken,
  kOneToken,     // one token in all, at the last device
  kIdleDevices,  // every second device has no token
};
constexpr Pattern kAllPatterns[] = {
    Pattern::kRandom,    Pattern::kOneExpert, Pattern::kOneDevice, Pattern::kFirstNodeOnly,
    Pattern::kLocalOnly, Pattern::kNoToken,   Pattern::kOneToken,  Pattern::kIdleDevices};
const char* to_string(Pattern pattern);

struct ExchangeCase {
  Topology topology;
  ExchangeOptions options;  // hidden, layers and experts are used too
  Pattern pattern = Pattern::kRandom;
  int top_k = 4;
  int tokens = 7;  // at most, a device
  int steps = 3;   // dispatches and combines, of layer step % layers
  std::uint64_t seed = 1;
  bool uneven = false;  // every dispatch says so (TokenRoutes)
  bool grid = false;    // two of three tokens have a grid: they must come out bit for bit
  std::string name() const;
};

// One device's tokens in one step.
struct CaseTokens {
  TokenRoutes routes() const;
  int tokens = 0, top_k = 0;
  bool uneven = false;
  std::vector<std::uint16_t> expert;
  std::vector<float> weight;
  std::vector<std::int32_t> device;
  std::vector<float> grid;
  Bytes rows;
};
CaseTokens make_tokens(const ExchangeCase& c, int device, int step);

// Throws std::runtime_error with the case and what differs. Collective.
void run_case(const ExchangeCase& c, Transport& transport);

// Outputs of the stand-in experts for a device's work; throws where the work is malformed.
Bytes stand_in_experts(const ExpertWork& work);

}  // namespace gracemoe
