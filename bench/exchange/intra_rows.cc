// How fast rows pass inside a node: dispatch and combine alone, through shared memory and in MPI
// messages, in turn.
//   mpirun -np 4 intra_rows [ROWS A DEVICE] [HIDDEN] [ROUNDS]
// All ranks are one node; every row goes to the devices of 8 experts drawn at random. Experts are
// not computed. Verifies that both ways give the same sums, then prints medians over the rounds of
// the slowest rank's seconds, and what that is in payload bytes a second.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>

#include "base/bf16.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/hash.h"
#include "exchange/exchange.h"

namespace gracemoe {
namespace {

constexpr int kTopK = 8, kExperts = 64;

struct Job {
  int rows = 512, hidden = 2048, rounds = 21;
  std::vector<std::uint16_t> expert;
  std::vector<float> weight, grid;
  std::vector<std::int32_t> device;
  Bytes elements;
};

Job make_job(int rows, int hidden, int rounds, const Transport& transport) {
  Job job{rows, hidden, rounds, {}, {}, {}, {}, {}};
  job.grid.assign(static_cast<std::size_t>(rows), 0x1p-18F);  // any order gives the same sums
  std::uint64_t state = static_cast<std::uint64_t>(transport.rank());
  const auto next = [&] { return state = mix64(state + 1); };
  for (int t = 0; t < rows; ++t) {
    for (int slot = 0; slot < kTopK; ++slot) {
      const auto expert =
          static_cast<std::uint16_t>((next() % 8) + 8U * static_cast<unsigned>(slot));
      job.expert.push_back(expert);
      job.weight.push_back(1.0F / static_cast<float>(1 + slot));
      job.device.push_back(expert % transport.size());
    }
  }
  for (int i = 0; i < rows * hidden; ++i) {
    const bf16 x = to_bf16(static_cast<float>(unit_interval(next())));
    const auto* bytes = reinterpret_cast<const std::byte*>(&x);
    job.elements.insert(job.elements.end(), bytes, bytes + sizeof x);
  }
  return job;
}

// Each entry's output is its row.
void copy_outputs(const ExpertWork& work, std::size_t row_bytes, std::span<std::byte> outputs) {
  for (std::size_t e = 0; e < work.row_of.size(); ++e)
    std::memcpy(outputs.data() + e * row_bytes, work.row(work.row_of[e]), row_bytes);
}

struct Round {
  double dispatch, combine;  // seconds
  std::vector<float> out;
};

Round run_round(Exchange& exchange, const Job& job, Transport& transport) {
  Round round{0, 0, std::vector<float>(static_cast<std::size_t>(job.rows * job.hidden))};
  transport.barrier();
  const double start = wall_seconds();
  const ExpertWork& work = exchange.dispatch(
      0, {job.rows, kTopK, job.expert, job.weight, job.device, job.grid}, job.elements);
  const double arrived = wall_seconds();
  const std::span<std::byte> outputs = exchange.output_memory();
  copy_outputs(work, static_cast<std::size_t>(job.hidden) * 2, outputs);
  transport.barrier();
  const double computed = wall_seconds();
  exchange.combine(outputs, round.out);
  std::vector<double> seconds{arrived - start, wall_seconds() - computed};
  transport.max(std::span(seconds));
  round.dispatch = seconds[0];
  round.combine = seconds[1];
  return round;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

double best(const std::vector<double>& values) {
  return *std::min_element(values.begin(), values.end());
}

void run(const Job& job, Transport& transport) {
  const Topology node = Topology::grid(1, transport.size());
  const Intra ways[] = {Intra::kMpi, Intra::kShared};
  std::vector<std::unique_ptr<Exchange>> exchanges;
  for (const Intra way : ways) {
    ExchangeOptions options{
        ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, job.hidden, 1, kExperts};
    options.intra = way;
    exchanges.push_back(make_exchange(options, node, transport));
  }
  std::vector<double> dispatch[2], combine[2], seconds[2];
  for (int i = -2; i < job.rounds; ++i) {  // two to warm up
    std::vector<float> sums;
    for (std::size_t way = 0; way < 2; ++way) {
      Round round = run_round(*exchanges[way], job, transport);
      if (i >= 0) {
        dispatch[way].push_back(round.dispatch);
        combine[way].push_back(round.combine);
        seconds[way].push_back(round.dispatch + round.combine);
      }
      if (way == 0) sums = std::move(round.out);
      if (way == 1 && sums != round.out) throw std::runtime_error("the two ways' sums differ");
    }
  }
  const LayerCounters& counters = exchanges[0]->counters().layers[0];
  std::vector<double> bytes{static_cast<double>(counters.dispatch_payload.intra_node +
                                                counters.combine_payload.intra_node) /
                            (job.rounds + 2)};
  transport.sum(std::span(bytes));
  if (transport.rank() != 0) return;
  for (std::size_t way = 0; way < 2; ++way)
    std::printf("%-7s dispatch %8.3f ms, combine %8.3f ms, both %8.3f ms: %6.2f GB/s\n",
                to_string(ways[way]), 1e3 * median(dispatch[way]), 1e3 * median(combine[way]),
                1e3 * median(seconds[way]), 1e-9 * bytes[0] / median(seconds[way]));
  std::printf("shared memory is %.2fx as fast (dispatch %.2fx, combine %.2fx)\n",
              median(seconds[0]) / median(seconds[1]), median(dispatch[0]) / median(dispatch[1]),
              median(combine[0]) / median(combine[1]));
  std::printf("in the best rounds %.2fx (%.3f and %.3f ms)\n", best(seconds[0]) / best(seconds[1]),
              1e3 * best(seconds[0]), 1e3 * best(seconds[1]));
}

}  // namespace
}  // namespace gracemoe

int main(int argc, char** argv) {
  using namespace gracemoe;
  const auto argument = [&](int i, int otherwise) {
    return argc > i ? std::atoi(argv[i]) : otherwise;
  };
  const auto session = MpiSession::start(MpiOptions{.timeout_seconds = 60});
  Transport& transport = session->transport();
  try {
    run(make_job(argument(1, 512), argument(2, 2048), argument(3, 21), transport), transport);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "rank %d: %s\n", transport.rank(), e.what());
    session->abort(1);
  }
  return 0;
}
