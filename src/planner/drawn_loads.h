// Texts like the one planned on: what could have come instead of it, and what may come next. What
// is balanced on many of those is expected to be balanced on new text; what is balanced on the one
// that is known is balanced by chance.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "trace/routing_trace.h"

namespace gracemoe {

// One layer's loads on kDraws drawn texts, each the size of the whole: its sequences count more or
// less, and live on one node or another, with the variance of a text of that size.
class DrawnLoads {
 public:
  static constexpr int kDraws = 64;

  // home_share: [nodes] of all tokens, that have their home there. Of the trace's tokens at most
  // `most`, evenly spaced. Another seed draws other texts. Cost: most * top_k + kDraws * sequences
  // * experts.
  DrawnLoads(const RoutingTrace& trace, int layer, std::int64_t most,
             std::span<const double> home_share, std::uint64_t seed = 0);

  // [draws] the expert's tokens with a home on the node, as a part of all (token, expert) pairs of
  // the text. May be slightly below 0 where an expert is rarely used.
  std::span<const double> flow(int node, int expert) const {
    return {
        flow_.data() +
            (static_cast<std::size_t>(node) * experts_ + static_cast<std::size_t>(expert)) * kDraws,
        kDraws};
  }

 private:
  std::size_t experts_;
  std::vector<double> flow_;  // [nodes, experts, draws]
};

}  // namespace gracemoe
