// How long messages take between ranks, measured as the exchange sends them: both ends send and
// receive at once, and all pairs of a round at the same time.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

#include "exchange/transport.h"

namespace gracemoe {

struct SwapOptions {
  std::vector<std::size_t> sizes;  // bytes of a message, rising
  double seconds_per_size = 0.1;   // repeats are so many that they take about as long
  // A size that would take longer once, by the size before, is left out, and so are all after it.
  double longest_seconds = 0.25;
  std::function<double()> clock;              // seconds
  std::function<void()> size_done = nullptr;  // may be empty
};

// Collective. partner[r] is whom rank r swaps messages with, -1: nobody; partner[partner[r]] == r.
// Returns, the same on every rank, [sizes][ranks] the seconds of one swap: median of at least 3
// repeats, of the two ends the longer; 0: not measured. The first size always is.
std::vector<std::vector<double>> time_swaps(Transport& transport, std::span<const int> partner,
                                            const SwapOptions& options);

// Rounds in which each of `count` players meets every other once (circle method): [rounds][count]
// the opponent, -1: none in that round. count - 1 rounds, one more where count is odd; none below
// two players.
std::vector<std::vector<int>> round_robin(int count);

}  // namespace gracemoe
