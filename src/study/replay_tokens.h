// The tokens of a routing trace at their home devices, for replays of the trace over the ranks.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "exchange/transport.h"
#include "trace/routing_trace.h"

namespace gracemoe {

// One device's, sequence by sequence. K = layers * top_k choices a token.
struct ReplayTokens {
  int layers = 0, top_k = 0, experts = 0;
  std::vector<std::int32_t> sequence;  // [tokens]
  std::vector<std::int32_t> position;  // [tokens] in the sequence
  std::vector<std::uint16_t> chosen;   // [tokens, layers, top_k]
  std::vector<float> weight;           // of the same shape
  std::size_t tokens() const { return sequence.size(); }
};

// Which devices are home to a replay's sequences.
enum class ReplayHomes {
  kEven,   // all
  kFirst,  // the first of each node: what handing tokens over inside a node is for
};
ReplayHomes parse_replay_homes(const std::string& text);  // "even", "first"; Error (kUsage)

// Deals rank 0's trace (the others' is ignored) to those devices as a run deals its requests
// (routing/homes.h). Weights that the trace lacks are made up: falling, summing to about 1.
// Collective.
ReplayTokens deal_trace(const RoutingTrace& trace, ReplayHomes homes, const Topology& topology,
                        Transport& transport);

}  // namespace gracemoe
