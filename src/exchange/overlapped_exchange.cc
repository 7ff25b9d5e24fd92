// Any kind of exchange, in lanes that do not block: see flight.h. A message inside a node carries
// the rows themselves or, with shared memory, where they lie.
#include "base/clock.h"
#include "base/error.h"
#include "exchange/exchange_base.h"
#include "exchange/flight.h"

namespace gracemoe {
namespace {

// Of shared memory for the rows of a lane and step, and as much for each of three kinds of outputs:
// more than a step needs that fits a machine. Only what is written takes room.
constexpr std::size_t kSharedBytes = std::size_t{2} << 30;

int lanes_of(Overlap overlap, const Topology& topology) {
  const Overlap here = overlap_on(overlap, topology);
  return here == Overlap::kBatch || here == Overlap::kAuto ? 2 : 1;
}

class OverlappedExchange final : public Exchange {
 public:
  OverlappedExchange(const ExchangeOptions& options, const Topology& topology, Transport& transport)
      : options_(options),
        paths_(Paths::of(options.kind, topology, transport.rank())),
        transport_(transport) {
    reset_counters();
    const int count = lanes_of(options.overlap, topology);
    const std::size_t all = shared_bytes(options.overlap, topology);
    const std::size_t bytes = all / static_cast<std::size_t>(count);
    if (topology.devices() == topology.nodes() || options.intra == Intra::kMpi)
      shared_ = nullptr;
    else if (options.intra == Intra::kShared)
      shared_ = SharedMemory::make(topology, transport, all);
    else
      shared_ = SharedMemory::make_where_possible(topology, transport, all, intra_trouble_);
    const Clerk clerk(options, topology, transport.rank(), counters_);
    for (int lane = 0; lane < count; ++lane) {
      std::span<std::byte> memory;
      if (shared_ != nullptr)
        memory = shared_->own().subspan(static_cast<std::size_t>(lane) * bytes, bytes);
      flights_.push_back(
          std::make_unique<Flight>(lane, clerk, paths_, transport, shared_.get(), memory));
    }
  }

  const ExpertWork& dispatch(int layer, const TokenRoutes& routes,
                             std::span<const std::byte> rows) override {
    begin(0, layer, routes, rows);
    Flight& flight = *flights_[0];
    const double start = wall_seconds();
    while (!flight.all_rows_here()) wait_and_pump();
    const ExpertWork& work = flight.whole();
    flight.counted().dispatch_seconds += wall_seconds() - start;
    return work;
  }

  std::span<std::byte> output_memory() override { return flights_[0]->output_memory(); }

  void combine(std::span<const std::byte> outputs, std::span<float> out) override {
    Flight& flight = *flights_[0];
    GM_CHECK(flight.open(), "combine without dispatch");
    const double start = wall_seconds();
    flight.whole_done(outputs);
    flight.counted().combine_seconds += wall_seconds() - start;
    finish(0, out);
  }

  int lanes() const override { return static_cast<int>(flights_.size()); }

  void begin(int lane, int layer, const TokenRoutes& routes,
             std::span<const std::byte> rows) override {
    const double start = wall_seconds();
    Flight& flight = at(lane);
    flight.begin(layer, routes, rows);
    progress();
    flight.counted().dispatch_seconds += wall_seconds() - start;
  }

  Ready next(int lane, WorkPart& part) override {
    const double start = wall_seconds();
    progress();
    Flight& flight = at(lane);
    const Ready ready = flight.next(part);
    last_ = lane;
    charge(flight, start);
    return ready;
  }

  void done(const WorkPart& part) override {
    const double start = wall_seconds();
    Flight& flight = at(part.lane);
    flight.done(part);
    progress();
    charge(flight, start);
  }

  void finish(int lane, std::span<float> out) override {
    const double start = wall_seconds();
    Flight& flight = at(lane);
    progress();
    while (!flight.settled()) {
      if (flight.add_up(out))
        progress();
      else
        wait_and_pump();
    }
    flight.finish(out);
    flight.counted().combine_seconds += wall_seconds() - start;
  }

  void progress() override {
    transport_.poll();
    while (pump()) {
    }
  }

  void wait() override {
    const double start = wall_seconds();
    wait_and_pump();
    charge(at(last_), start);
  }

  std::string intra_trouble() const override { return intra_trouble_; }
  const ExchangeCounters& counters() const override { return counters_; }
  void reset_counters() override {
    counters_.layers.assign(static_cast<std::size_t>(options_.layers), {});
  }

 private:
  Flight& at(int lane) {
    GM_CHECK(lane >= 0 && lane < lanes(), "no such lane");
    return *flights_[static_cast<std::size_t>(lane)];
  }

  bool pump() {
    bool taken = false;
    for (const auto& flight : flights_) taken |= flight->pump();
    return taken;
  }

  // Blocks only while nothing that has arrived is left to take.
  void wait_and_pump() {
    if (pump()) return;
    transport_.wait();
    pump();
  }

  // Time between begin() and finish() belongs to dispatch while rows are missing.
  static void charge(Flight& flight, double start) {
    LayerCounters& counted = flight.counted();
    (flight.all_rows_here() ? counted.combine_seconds : counted.dispatch_seconds) +=
        wall_seconds() - start;
  }

  ExchangeOptions options_;
  Paths paths_;
  Transport& transport_;
  ExchangeCounters counters_;
  std::string intra_trouble_;
  std::unique_ptr<SharedMemory> shared_;
  std::vector<std::unique_ptr<Flight>> flights_;  // [lanes]
  int last_ = 0;                                  // lane that was asked for work last
};

}  // namespace

std::size_t shared_bytes(Overlap overlap, const Topology& topology) {
  return static_cast<std::size_t>(lanes_of(overlap, topology)) * 4 * kSharedBytes;
}

std::unique_ptr<Exchange> make_overlapped_exchange(const ExchangeOptions& options,
                                                   const Topology& topology, Transport& transport) {
  return std::make_unique<OverlappedExchange>(options, topology, transport);
}

}  // namespace gracemoe
