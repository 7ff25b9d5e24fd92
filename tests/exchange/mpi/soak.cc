// Run by mpirun: random exchanges under random plans, one after the other, each against its twins.
//   soak SECONDS SEED TIMEOUT TOPOLOGY [mpi]
// Every rank draws the same cases from the seed. "mpi": no shared memory (sanitizers and valgrind
// see only what one process writes). Prints each rank's process id first, "ok" with the number of
// cases last; ends with code 1 where a result is wrong, a rank is silent, or memory keeps growing.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "exchange/exchange_case.h"

namespace gracemoe {
namespace {

// What may come on top of the memory of the first fifth: its cases may all have been small ones.
constexpr double kMayGrowBytes = 200e6;

struct SoakOptions {
  double seconds = 5;
  std::uint64_t seed = 1;
  double timeout = 60;
  std::string topology;
  bool shared = true;
};

ExchangeCase draw_case(const Topology& topology, std::uint64_t seed, bool shared) {
  std::uint64_t count = 0;
  const auto below = [&](int n) {
    return static_cast<int>(hash_combine(seed, ++count) % static_cast<std::uint64_t>(n));
  };
  ExchangeCase c;
  c.topology = topology;
  c.seed = seed;
  c.options.kind = static_cast<ExchangeKind>(below(3));
  c.options.reduction = static_cast<Reduction>(below(3));
  c.options.element = below(4) == 0 ? Element::kFloat32 : Element::kBf16;
  c.options.overlap = static_cast<Overlap>(below(3));
  c.options.intra = shared && below(2) == 0 ? Intra::kShared : Intra::kMpi;
  c.options.hidden = 1 + below(below(4) == 0 ? 3000 : 300);
  c.options.layers = 1 + below(3);
  c.options.experts = 1 + below(64);
  c.pattern =
      kAllPatterns[static_cast<std::size_t>(below(static_cast<int>(std::size(kAllPatterns))))];
  c.top_k = 1 + below(std::min(c.options.experts, 12));
  c.tokens = 1 + below(below(4) == 0 ? 200 : 30);
  c.steps = 1 + below(6);
  c.options.packing = static_cast<Packing>(below(4));
  c.grid = c.top_k <= 8 && below(2) == 0;
  c.options.even = static_cast<Even>(below(3));
  c.uneven = below(2) == 0;
  return c;
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

void soak(const SoakOptions& options, const Topology& topology, Transport& transport) {
  const double start = wall_seconds();
  double early = 0;
  std::uint64_t cases = 0;
  for (bool go_on = true; go_on; ++cases) {
    run_case(draw_case(topology, hash_combine(options.seed, cases), options.shared), transport);
    const double passed = (wall_seconds() - start) / options.seconds;
    if (passed < 0.2) early = resident_bytes();
    std::vector<double> latest{passed};
    transport.max(std::span(latest));
    go_on = latest[0] < 1;
  }
  const double late = resident_bytes();
  if (early > 0 && late > early + kMayGrowBytes)
    throw std::runtime_error("memory grew from " + std::to_string(early / 1e6) + " to " +
                             std::to_string(late / 1e6) + " MB");
  if (transport.rank() == 0)
    std::printf("ok: %llu cases, %.0f MB early, %.0f MB late\n",
                static_cast<unsigned long long>(cases), early / 1e6, late / 1e6);
}

int run(const SoakOptions& options) {
  const auto session = MpiSession::start(
      MpiOptions{.declared = options.topology, .timeout_seconds = options.timeout});
  Transport& transport = session->transport();
  std::fprintf(stderr, "rank %d is process %d\n", transport.rank(), static_cast<int>(getpid()));
  try {
    transport.barrier();
    soak(options, session->topology(), transport);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d: %s\n", transport.rank(), e.what());
    session->abort(1);
  }
  return 0;
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: soak SECONDS SEED TIMEOUT TOPOLOGY [mpi]\n");
    return 2;
  }
  gracemoe::SoakOptions options;
  options.seconds = std::atof(argv[1]);
  options.seed = static_cast<std::uint64_t>(std::atoll(argv[2]));
  options.timeout = std::atof(argv[3]);
  options.topology = argv[4];
  options.shared = argc < 6;
  try {
    return gracemoe::run(options);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "%s\n", e.what());
    return 1;
  }
}
