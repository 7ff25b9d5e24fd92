#include "compute/limits.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "compute/cpu/buffer.h"
#include "compute/cpu/kernels.h"
#include "compute/cpu/parallel.h"

namespace gracemoe {
namespace {

constexpr std::size_t kBytes = std::size_t{256} << 20;
constexpr std::size_t kPart = std::size_t{4} << 20;
constexpr int kTries = 7;
constexpr std::size_t kPlaces = 4;

// Ways to read: how many places of a part at once, and how many bytes ahead; 0 leaves that to the
// hardware. Which is the fastest differs between machines by a factor of two.
struct Way {
  std::size_t places, ahead;
};
constexpr std::array<Way, 6> kWays = {
    {{1, 0}, {1, 1024}, {1, 4096}, {kPlaces, 0}, {kPlaces, 256}, {kPlaces, 512}}};

// Eight sums, so that the loads and not the additions take the time.
std::uint64_t sum_of(const std::byte* data, std::size_t size, Way way) {
  std::array<std::uint64_t, 8> sums{};
  const std::size_t each = size / way.places;
  for (std::size_t i = 0; i < each; i += sizeof(sums)) {
    for (std::size_t place = 0; place < way.places; ++place) {
      const std::byte* from = data + place * each + i;
      if (way.ahead > 0) __builtin_prefetch(from + way.ahead);  // past the end: a hint to nowhere
      std::array<std::uint64_t, 8> line;
      std::memcpy(line.data(), from, sizeof(line));
      for (std::size_t k = 0; k < sums.size(); ++k) sums[k] += line[k];
    }
  }
  std::uint64_t all = 0;
  for (const std::uint64_t sum : sums) all += sum;
  return all;
}

double product_rate(const ProductKernels& kernels, int threads) {
  constexpr std::size_t kRounds = 2'000'000;
  double best = 0;
  std::vector<double> done(static_cast<std::size_t>(threads));
  for (int i = 0; i < kTries; ++i) {
    const double start = wall_seconds();
    parallel_for(threads, done.size(), 1e9, [&](std::size_t part, int) {
      float out[16];
      done[part] = kernels.saturate(kRounds, out);
    });
    double all = 0;
    for (const double part : done) all += part;
    best = std::max(best, 2 * all / (wall_seconds() - start));
  }
  return best;
}

}  // namespace

MemoryReader::MemoryReader(int threads) : threads_(threads) {
  const auto memory = std::make_shared<const Buffer>(kBytes);
  std::memset(memory->data(), 1, kBytes);
  memory_ = {memory, memory->data()};
  for (int i = 0; i < kTries; ++i) {
    for (std::size_t way = 0; way < kWays.size(); ++way) {
      const double before = best_;
      if (read(way) > before) way_ = way;
    }
  }
}

double MemoryReader::read() {
  return read(way_);
}

double MemoryReader::read(std::size_t way) {
  std::vector<std::uint64_t> sums(kBytes / kPart);
  const double start = wall_seconds();
  parallel_for(threads_, sums.size(), 1e9, [&](std::size_t part, int) {
    sums[part] = sum_of(memory_.get() + part * kPart, kPart, kWays[way]);
  });
  const double rate = static_cast<double>(kBytes) / (wall_seconds() - start);
  GM_CHECK(sums[0] == kPart / 8 * 0x0101010101010101U, "the sum of a buffer of ones");
  best_ = std::max(best_, rate);
  return rate;
}

MachineLimits measure_limits(const CpuOptions& options, const MemoryReader& reader) {
  make_cpu_backend(options);  // refuses what is wrong
  const Kernels kernels = kernels_for(choose_isa(options.isa));
  return {reader.best(), product_rate(options.weights == "int8" ? kernels.int8 : kernels.rounded,
                                      options.threads)};
}

}  // namespace gracemoe
