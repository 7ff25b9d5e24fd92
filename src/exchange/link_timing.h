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
  // A size that would take longer once is left out, and so are all after it: by the size before,
  // taken to grow with the bytes once these are felt (three times as long as a tenth of the size,
  // and the size before it twice: once alone may be chance). Until they are, sizes go on for up to
  // five times as long, since times of small messages tell nothing of the bytes. The first three
  // sizes are always timed.
  double longest_seconds = 0.25;
  std::function<double()> clock;              // seconds
  std::function<void()> size_done = nullptr;  // may be empty
  // Larger sizes are timed only where bytes are not felt yet.
  std::size_t enough_bytes = static_cast<std::size_t>(-1);
};

// Collective. partner[r] is whom rank r swaps messages with, -1: nobody; partner[partner[r]] == r.
// Returns, the same on every rank, [sizes][ranks] the seconds of one swap: median of at least 3
// repeats, of the two ends the longer; 0: not measured.
std::vector<std::vector<double>> time_swaps(Transport& transport, std::span<const int> partner,
                                            const SwapOptions& options);

// Whether the last of these sizes' times shows their bytes: it is at least `factor` times the
// shortest of those of at most a tenth of its size. Rising sizes, a time each.
bool bytes_are_felt(std::span<const std::size_t> sizes, std::span<const double> seconds,
                    double factor);

// Rounds in which each of `count` players meets every other once (circle method): [rounds][count]
// the opponent, -1: none in that round. count - 1 rounds, one more where count is odd; none below
// two players.
std::vector<std::vector<int>> round_robin(int count);

}  // namespace gracemoe
