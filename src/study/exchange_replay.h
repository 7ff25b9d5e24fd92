// The exchange alone: a routing trace is replayed through dispatch and combine. Rows are random
// numbers, the experts multiply by a number of their own, so that every device knows by itself what
// must come back.
#pragma once
#include <cstdint>
#include <functional>
#include <vector>

#include "exchange/exchange.h"
#include "plan/plan.h"
#include "routing/replica_selector.h"
#include "study/replay_tokens.h"

namespace gracemoe {

struct ReplayOptions {
  ExchangeOptions exchange;  // hidden, layers and experts are set by the caller
  RoutingPolicy routing = RoutingPolicy::kTopologyAware;
  int tokens_per_step = 512;                                   // a device's, at most
  int rounds = 1;                                              // times that the whole trace runs
  std::uint64_t seed = 1;                                      // of the rows
  std::function<void(std::int64_t steps)> progress = nullptr;  // steps done, all rounds
};

// Seconds of one round, summed over steps and layers: each time the slowest device's, from when all
// devices are ready. What the checks take is not in it.
struct ReplayTimes {
  double dispatch_s = 0, combine_s = 0;  // without the stand-in experts
  // With two lanes, where one's dispatch and the other's combine share the link: whole steps, the
  // stand-ins' work among them; the two above are 0.
  double together_s = 0;
  double total_s() const { return dispatch_s + combine_s + together_s; }
};

// Payload that a device exchanges with other nodes.
struct Crossing {
  std::int64_t sent = 0, received = 0;
};

struct ReplayResult {
  std::int64_t steps = 0;           // of a round, each with all layers
  std::vector<ReplayTimes> rounds;  // the same on every rank
  // [devices][layers] of one round; on rank 0, empty elsewhere.
  std::vector<std::vector<LayerCounters>> counters;
  // [devices] of one round, on rank 0: bytes of payload of each step, layer, dispatch and combine;
  // with two lanes of each step.
  std::vector<std::vector<Crossing>> crossings;
};

// Steps of a round. Collective.
std::int64_t replay_steps(const ReplayTokens& mine, int tokens_per_step, Transport& transport);

// Collective; every device's tokens come from deal_trace(), the plan fits them. With
// Overlap::kBatch a step's tokens travel in two lanes, and a device keeps its results of all layers
// of a step (4 bytes a number) until they are checked. Error (kInternal)
// naming layer, sequence and position where a row that came back is not the sum it must be: with
// the reductions exact and fp32 to the bit.
ReplayResult replay_exchange(const ReplayTokens& mine, const Plan& plan,
                             const ReplayOptions& options, const Topology& topology,
                             Transport& transport);

}  // namespace gracemoe
