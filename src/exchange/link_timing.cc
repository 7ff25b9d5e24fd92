#include "exchange/link_timing.h"

#include <algorithm>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr Phase kSwap{800, "timing of links"};
constexpr int kLeastRepeats = 3, kMostRepeats = 200;
constexpr int kFirstRepeats = 10;  // to learn how long the first size takes

double median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

double time_size(Transport& transport, int partner, std::span<const std::byte> bytes, int repeats,
                 const SwapOptions& options) {
  const OutgoingMessage out{partner, bytes};
  transport.exchange({&out, 1}, {&partner, 1}, kSwap);  // connects, touches buffers
  std::vector<double> seconds;
  for (int i = 0; i < repeats; ++i) {
    const double start = options.clock();
    transport.exchange({&out, 1}, {&partner, 1}, kSwap);
    seconds.push_back(options.clock() - start);
  }
  return median(seconds);
}

// Each rank's figure on every rank, and of two partners' the larger for both: so both know how
// often to repeat the next size.
std::vector<double> share(Transport& transport, std::span<const int> partner, double own) {
  std::vector<double> seconds(partner.size());
  seconds[static_cast<std::size_t>(transport.rank())] = own;
  transport.sum(seconds);
  std::vector<double> longer = seconds;
  for (std::size_t r = 0; r < partner.size(); ++r)
    if (partner[r] >= 0)
      longer[r] = std::max(seconds[r], seconds[static_cast<std::size_t>(partner[r])]);
  return longer;
}

void check_partners(std::span<const int> partner, int ranks) {
  GM_CHECK(partner.size() == static_cast<std::size_t>(ranks), "a partner for each rank");
  for (int r = 0; r < ranks; ++r) {
    const int other = partner[static_cast<std::size_t>(r)];
    GM_CHECK(other == -1 || (other >= 0 && other < ranks && other != r &&
                             partner[static_cast<std::size_t>(other)] == r),
             "partners name each other");
  }
}

// Seconds of every rank's swap of one size; this rank repeats its own so often.
std::vector<double> time_round(Transport& transport, std::span<const int> partner, std::size_t size,
                               int repeats, const SwapOptions& options) {
  transport.barrier();
  double own = 0;
  if (repeats > 0) {
    const Bytes bytes(size, std::byte{0x5a});
    own = time_size(transport, partner[static_cast<std::size_t>(transport.rank())], bytes, repeats,
                    options);
  }
  return share(transport, partner, own);
}

constexpr std::size_t kLeastSizes = 3;
constexpr double kFelt = 3, kFeltBefore = 2;  // see SwapOptions::longest_seconds
constexpr double kUnfeltFactor = 5;

int repeats_in_time(double one, const SwapOptions& options) {
  return static_cast<int>(std::clamp(options.seconds_per_size / std::max(one, 1e-9),
                                     1.0 * kLeastRepeats, 1.0 * kMostRepeats));
}

// How often to time the next size, of which the ones before took `seconds`; 0: leave it out.
int repeats_for(std::span<const double> seconds, const SwapOptions& options) {
  const std::size_t next = seconds.size();
  const bool felt = bytes_are_felt(options.sizes, seconds, kFelt) &&
                    bytes_are_felt(options.sizes, seconds.first(next - 1), kFeltBefore);
  if (felt && options.sizes[next] > options.enough_bytes) return 0;
  const double growth =
      static_cast<double>(options.sizes[next]) / static_cast<double>(options.sizes[next - 1]);
  const bool too_long = felt ? seconds.back() * growth > options.longest_seconds
                             : seconds.back() > kUnfeltFactor * options.longest_seconds;
  return next >= kLeastSizes && too_long ? 0 : repeats_in_time(seconds.back() * growth, options);
}

}  // namespace

bool bytes_are_felt(std::span<const std::size_t> sizes, std::span<const double> seconds,
                    double factor) {
  if (seconds.empty()) return false;
  const std::size_t last = seconds.size() - 1;
  double shortest = 0;
  for (std::size_t i = 0; i < last && 10 * sizes[i] <= sizes[last]; ++i)
    shortest = i == 0 ? seconds[i] : std::min(shortest, seconds[i]);
  return shortest > 0 && seconds[last] >= factor * shortest;
}

std::vector<std::vector<double>> time_swaps(Transport& transport, std::span<const int> partner,
                                            const SwapOptions& options) {
  check_partners(partner, transport.size());
  const auto self = static_cast<std::size_t>(transport.rank());
  std::vector<std::vector<double>> times;
  if (options.sizes.empty()) return times;
  const bool plays = partner[self] >= 0;
  std::vector<double> mine;
  const double first =
      time_round(transport, partner, options.sizes[0], plays ? kFirstRepeats : 0, options)[self];
  bool open = plays;
  for (const std::size_t size : options.sizes) {
    int repeats = 0;
    if (open) repeats = mine.empty() ? repeats_in_time(first, options) : repeats_for(mine, options);
    open = repeats > 0;
    times.push_back(time_round(transport, partner, size, repeats, options));
    mine.push_back(times.back()[self]);
    if (options.size_done) options.size_done();
  }
  return times;
}

std::vector<std::vector<int>> round_robin(int count) {
  std::vector<std::vector<int>> rounds;
  const int seats = count + count % 2;  // an odd count plays with an empty seat, the last
  for (int round = 0; count > 1 && round < seats - 1; ++round) {
    std::vector<int> opponent(static_cast<std::size_t>(count), -1);
    // The last seat stays, the others turn by one a round.
    for (int i = 0; i < seats / 2; ++i) {
      const int a = i == 0 ? seats - 1 : (round + i) % (seats - 1);
      const int b = (round - i + seats - 1) % (seats - 1);
      if (a >= count || b >= count) continue;
      opponent[static_cast<std::size_t>(a)] = b;
      opponent[static_cast<std::size_t>(b)] = a;
    }
    rounds.push_back(std::move(opponent));
  }
  return rounds;
}

}  // namespace gracemoe
