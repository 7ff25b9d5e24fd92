#include "planner/drawn_loads.h"

#include <algorithm>
#include <numeric>

#include "base/hash.h"

namespace gracemoe {
namespace {

constexpr std::uint64_t kSeed = 0x7e87;
constexpr std::size_t kFewestParts = 8, kMostParts = 256;

using Loads = std::vector<double>;  // [experts]

// [tokens looked at] the part of the text that each is of: a sequence, or what stands for one where
// there are few or very many.
std::vector<std::size_t> parts_of(const RoutingTrace& trace, std::int64_t count) {
  std::vector<std::size_t> part;
  std::size_t sequences = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto now = static_cast<std::size_t>(i * trace.tokens() / count);
    const auto before = static_cast<std::size_t>((i - 1) * trace.tokens() / count);
    if (i > 0 && trace.sequence[now] != trace.sequence[before]) ++sequences;
    part.push_back(sequences);
  }
  if (count > 0) ++sequences;
  for (std::size_t i = 0; i < part.size(); ++i)
    if (sequences < kFewestParts)
      part[i] = i * kFewestParts / part.size();
    else if (sequences > kMostParts)
      part[i] = part[i] * kMostParts / sequences;
  return part;
}

std::vector<Loads> part_loads(const RoutingTrace& trace, int layer, std::int64_t most) {
  const std::int64_t count = std::min(trace.tokens(), most);
  const std::vector<std::size_t> part = parts_of(trace, count);
  std::vector<Loads> loads;
  for (std::int64_t i = 0; i < count; ++i) {
    const std::size_t p = part[static_cast<std::size_t>(i)];
    while (loads.size() <= p) loads.emplace_back(static_cast<std::size_t>(trace.num_experts));
    for (const std::uint16_t expert : trace.chosen(i * trace.tokens() / count, layer))
      ++loads[p][expert];
  }
  return loads;
}

// Uniform draws that depend on nothing but their number.
class Draws {
 public:
  explicit Draws(std::uint64_t seed) : seed_(seed) {}
  double sign() { return unit() < 0.5 ? -1 : 1; }
  std::size_t home(std::span<const double> shares) {
    double left = unit();
    std::size_t last = 0;
    for (std::size_t h = 0; h < shares.size(); ++h) {
      if (!(shares[h] > 0)) continue;
      last = h;
      if ((left -= shares[h]) < 0) break;
    }
    return last;
  }

 private:
  double unit() { return unit_interval(hash_combine(seed_, counter_++)); }
  std::uint64_t seed_, counter_ = 0;
};

}  // namespace

// Half-samples: that a part counts twice or not at all moves the loads by plus or minus what it
// selects beyond the rest, which has the variance of loads between texts of this size. Twice: for
// what this text got by chance, wherever its tokens' homes are; and for the next one, whose parts
// have homes of their own.
DrawnLoads::DrawnLoads(const RoutingTrace& trace, int layer, std::int64_t most,
                       std::span<const double> home_share, std::uint64_t seed)
    : experts_(static_cast<std::size_t>(trace.num_experts)),
      flow_(home_share.size() * experts_ * kDraws) {
  const std::size_t nodes = home_share.size();
  std::vector<Loads> parts = part_loads(trace, layer, most);
  Loads whole(experts_);
  for (const Loads& part : parts)
    for (std::size_t e = 0; e < experts_; ++e) whole[e] += part[e];
  const double pairs = std::accumulate(whole.begin(), whole.end(), 0.0);
  if (!(pairs > 0)) return;
  for (Loads& part : parts) {
    const double own = std::accumulate(part.begin(), part.end(), 0.0);
    for (std::size_t e = 0; e < experts_; ++e) part[e] = (part[e] - own * whole[e] / pairs) / pairs;
  }
  Draws draws(hash_combine(kSeed, seed));
  Loads ours(experts_);
  for (std::size_t draw = 0; draw < kDraws; draw += 2) {
    std::fill(ours.begin(), ours.end(), 0);
    std::vector<Loads> theirs(nodes, Loads(experts_));
    for (const Loads& part : parts) {
      const double now = draws.sign(), next = draws.sign();
      Loads& there = theirs[draws.home(home_share)];
      for (std::size_t e = 0; e < experts_; ++e)
        ours[e] += now * part[e], there[e] += next * part[e];
    }
    for (std::size_t h = 0; h < nodes; ++h)
      for (std::size_t e = 0; e < experts_; ++e) {
        double* flow = flow_.data() + (h * experts_ + e) * kDraws + draw;
        const double moved = home_share[h] * ours[e] + theirs[h][e];
        flow[0] = home_share[h] * whole[e] / pairs + moved;
        flow[1] = home_share[h] * whole[e] / pairs - moved;
      }
  }
}

}  // namespace gracemoe
