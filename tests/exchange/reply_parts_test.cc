// Replies that travel in parts, where their sending itself takes in what others send.
#include <gtest/gtest.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "exchange/exchange_case.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

// A look at the messages lasts until one has come, or the others had their time to send: so what is
// awaited comes between two parts of a reply, where nobody is waiting for it.
class Lingering final : public Transport {
 public:
  explicit Lingering(Transport& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override {
    return inner_.exchange(out, from, phase);
  }
  void begin_send(Outbound& message) override { inner_.begin_send(message); }
  void begin_receive(Inbound& message) override {
    awaited_.push_back(&message);
    inner_.begin_receive(message);
  }
  void poll() override {
    const double until = wall_seconds() + kPatience;
    for (inner_.poll(); !drop_done() && wall_seconds() < until; inner_.poll())
      std::this_thread::yield();
  }
  void wait() override {
    inner_.wait();
    drop_done();
  }

 private:
  static constexpr double kPatience = 2e-3;

  bool drop_done() {
    return std::erase_if(awaited_, [](const Inbound* message) { return message->done; }) > 0;
  }

  Transport& inner_;
  std::vector<Inbound*> awaited_;
};

ExchangeCase wide_case(const char* topology, ExchangeKind kind, int hidden, int tokens) {
  ExchangeCase c;
  c.topology = Topology::parse(topology);
  c.options = {kind, Reduction::kFp32, Element::kBf16, hidden, 2, 16};
  c.options.overlap = Overlap::kBatch;
  c.options.packing = Packing::kNone;
  c.tokens = tokens;
  c.steps = 2;
  c.grid = true;
  return c;
}

// Rows and replies come, and the next are awaited, while a reply is on its way out.
TEST(ReplyParts, WhatComesBetweenTwoPartsIsTaken) {
  for (const char* topology : {"2x2", "3x1", "2,1"}) {
    for (const ExchangeKind kind : {ExchangeKind::kHierarchical, ExchangeKind::kFlatPerDevice}) {
      for (const std::uint64_t seed : {1, 2}) {
        ExchangeCase c = wide_case(topology, kind, 6001, 30);
        c.seed = seed;
        ASSERT_NO_THROW(run_ranks(c.topology.devices(), [&](Transport& transport) {
          Lingering lingering(transport);
          run_case(c, lingering);
        })) << c.name();
      }
    }
  }
}

// More numbers a row than a part has: a row is a part.
TEST(ReplyParts, AreOfOneRowWhereRowsAreWiderThanThey) {
  const ExchangeCase c = wide_case("2x1", ExchangeKind::kHierarchical, (1 << 16) + 3, 3);
  ASSERT_NO_THROW(run_ranks(2, [&](Transport& transport) { run_case(c, transport); })) << c.name();
}

}  // namespace
}  // namespace gracemoe
