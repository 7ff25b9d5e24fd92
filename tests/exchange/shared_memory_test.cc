#include "exchange/shared_memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <atomic>
#include <cstring>

#include "base/error.h"
#include "support/error_of.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

TEST(SharedMemory, EachReadsWhatItsNeighboursWriteAndNobodyElse) {
  const Topology topology = Topology::parse("2,1");
  run_ranks(3, [&](Transport& transport) {
    const auto memory = SharedMemory::make(topology, transport, 100000);
    ASSERT_EQ(memory->own().size(), 100000U);
    const int rank = transport.rank();
    std::memset(memory->own().data() + 99000, 65 + rank, 1000);
    transport.barrier();
    for (int other = 0; other < 3; ++other) {
      const bool shares = other != rank && other < 2 && rank < 2;
      ASSERT_EQ(memory->of(other).empty(), !shares);
      if (shares) {
        EXPECT_EQ(memory->of(other)[99999], static_cast<std::byte>(65 + other));
      }
    }
    transport.barrier();
  });
}

// Changes what a rank is told of the other's memory.
class Liar final : public Transport {
 public:
  explicit Liar(Transport& inner) : inner_(inner) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override {
    auto in = inner_.exchange(out, from, phase);
    if (rank() == 0 && !in.empty() && in.front().bytes.size() == 24)
      in.front().bytes[20] ^= std::byte{1};
    return in;
  }

 private:
  Transport& inner_;
};

// As on ranks of one declared node that run on two machines: all of the node are told.
TEST(SharedMemory, AnotherProcessesMemoryIsRefusedOnTheWholeNode) {
  std::atomic<int> refused = 0;
  const std::string text = error_of(
      [&] {
        run_ranks(2, [&](Transport& transport) {
          Liar liar(transport);
          try {
            SharedMemory::make(Topology::grid(1, 2), liar, 4096);
          } catch (const Error&) {
            ++refused;
            throw;
          }
        });
      },
      ErrorCategory::kUsage);
  EXPECT_EQ(refused, 2);
  EXPECT_EQ(text,
            "shared memory of rank 1: got that of another process: the rank is on another machine, "
            "wanted memory shared by the devices of a node; declare a topology whose nodes are "
            "machines, or use --intra mpi");
}

TEST(SharedMemory, WhereOneRankCannotItsWholeNodeDoesNot) {
  run_ranks(3, [&](Transport& transport) {
    Liar liar(transport);
    const Topology topology = Topology::parse("2,1");
    std::string trouble;
    EXPECT_EQ(SharedMemory::make_where_possible(topology, liar, 4096, trouble) == nullptr,
              transport.rank() < 2);
    EXPECT_EQ(trouble.empty(), transport.rank() == 2) << trouble;
    EXPECT_NE(SharedMemory::make_where_possible(topology, transport, 4096, trouble), nullptr);
    EXPECT_EQ(trouble, "");
  });
}

TEST(SharedMemory, AFileSizeLimitIsToldAndKillsNobody) {
  rlimit old{};
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const rlimit low{1 << 20, old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &low), 0);
  const std::string told =
      "making shared memory of 8004096 bytes: got a file size limit (ulimit "
      "-f) of 1048576, wanted memory shared by the devices of a node";
  run_ranks(2, [&](Transport& transport) {
    const Topology topology = Topology::grid(1, 2);
    std::string trouble;
    EXPECT_EQ(SharedMemory::make_where_possible(topology, transport, 8000000, trouble), nullptr);
    EXPECT_THAT(trouble, testing::StartsWith(told));
    EXPECT_THAT(
        error_of([&] { SharedMemory::make(topology, transport, 8000000); }, ErrorCategory::kUsage),
        testing::StartsWith(told));
  });
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
}

TEST(Arena, HandsOutWhatThereIs) {
  alignas(64) std::byte memory[256];
  Arena arena(memory);
  EXPECT_EQ(arena.take(1), memory);
  EXPECT_EQ(arena.take(64), memory + 64);
  EXPECT_EQ(arena.take(128), memory + 128);
  EXPECT_EQ(error_of([&] { arena.take(1); }, ErrorCategory::kUsage),
            "rows that a device shares with its node in one step: got 320 bytes, wanted at most "
            "256; use a smaller --max-rows");
  arena.clear();
  EXPECT_EQ(arena.take(256), memory);
}

}  // namespace
}  // namespace gracemoe
