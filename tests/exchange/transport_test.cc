#include "exchange/transport.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "support/error_of.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

Bytes word(int number, std::size_t size) {
  return Bytes(size, static_cast<std::byte>(number));
}

void check_collectives(Transport& transport) {
  const int n = transport.size();
  transport.barrier();
  std::vector<std::int64_t> whole{transport.rank(), 1};
  transport.sum(std::span(whole));
  EXPECT_EQ(whole, (std::vector<std::int64_t>{n * (n - 1) / 2, n}));
  std::vector<double> real{-1.0 - transport.rank()};
  transport.max(std::span(real));
  EXPECT_EQ(real.front(), -1.0);
  std::vector<double> order{transport.rank() == 0 ? 1e16 : 1.0};
  transport.sum(std::span(order));
  double by_rank = 1e16;
  for (int r = 1; r < n; ++r) by_rank += 1.0;
  EXPECT_EQ(order.front(), by_rank);
  for (int root = 0; root < n; ++root) {
    const Bytes mine = word(transport.rank(), static_cast<std::size_t>(transport.rank()));
    EXPECT_EQ(transport.broadcast(mine, root), word(root, static_cast<std::size_t>(root)));
    const std::vector<Bytes> all = transport.gather(mine, root);
    ASSERT_EQ(all.size(), transport.rank() == root ? static_cast<std::size_t>(n) : 0U);
    for (std::size_t r = 0; r < all.size(); ++r) {
      EXPECT_EQ(all[r], word(static_cast<int>(r), r));
    }
  }
}

TEST(Transport, CollectivesOverAnyNumberOfRanks) {
  for (int ranks = 1; ranks <= 9; ++ranks) run_ranks(ranks, check_collectives);
  check_collectives(*make_local_transport());
}

TEST(Transport, SumsOfDifferentLengthsAreAnError) {
  const std::string text = error_of(
      [] {
        run_ranks(2, [](Transport& transport) {
          std::vector<double> values(transport.rank() == 0 ? 2U : 3U);
          transport.sum(std::span(values));
        });
      },
      ErrorCategory::kPeer);
  EXPECT_EQ(text, "sum: values of rank 1: got 3, wanted 2; the ranks are out of step");
}

TEST(Transport, ALocalOneHasNoPeers) {
  const auto transport = make_local_transport();
  EXPECT_EQ(transport->size(), 1);
  EXPECT_EQ(transport->rank(), 0);
  EXPECT_TRUE(transport->exchange({}, {}, {1, "nothing"}).empty());
  const int peer = 1;
  EXPECT_NE(error_of(
                [&] {
                  transport->exchange({}, {&peer, 1}, {1, "something"});
                },
                ErrorCategory::kInternal),
            "");
  EXPECT_NE(error_of([&] { transport->gather({}, 1); }, ErrorCategory::kInternal), "");
}

TEST(Transport, APhaseIsToldWithItsLayer) {
  EXPECT_EQ(to_string(Phase{1, "combine", 4}), "combine, layer 4");
  EXPECT_EQ(to_string(Phase{1, "barrier"}), "barrier");
}

TEST(ThreadTransport, ARankThatThrowsEndsTheWaitsOfTheOthers) {
  int ended = 0;
  EXPECT_THROW(run_ranks(3,
                         [&](Transport& transport) {
                           if (transport.rank() == 1) throw std::out_of_range("on purpose");
                           if (transport.rank() == 2) return transport.barrier();
                           const std::string text =
                               error_of([&] { transport.barrier(); }, ErrorCategory::kPeer);
                           EXPECT_NE(text.find("(barrier)"), std::string::npos) << text;
                           ++ended;
                         }),
               std::out_of_range);
  EXPECT_EQ(ended, 1);
}

TEST(ThreadTransport, ARankThatReturnsEarlyIsNamed) {
  const std::string text = error_of(
      [] {
        run_ranks(2, [](Transport& transport) {
          const int peer = 0;
          if (transport.rank() == 1) transport.exchange({}, {&peer, 1}, {3, "a gift", 2});
        });
      },
      ErrorCategory::kPeer);
  EXPECT_EQ(text, "waiting for rank 0 (a gift, layer 2): it has returned");
}

TEST(ThreadTransport, PhasesAreCompared) {
  const std::string text = error_of(
      [] {
        run_ranks(2, [](Transport& transport) {
          const int peer = 1 - transport.rank();
          const OutgoingMessage out{peer, {}};
          transport.exchange({&out, 1}, {&peer, 1}, {4 + transport.rank(), "a gift"});
        });
      },
      ErrorCategory::kPeer);
  EXPECT_NE(text.find("it sent a message of phase"), std::string::npos) << text;
}

TEST(ThreadTransport, AMessageThatNobodyTakesIsAnError) {
  EXPECT_NE(error_of(
                [] {
                  run_ranks(2, [](Transport& transport) {
                    const OutgoingMessage out{1, {}};
                    if (transport.rank() == 0) transport.exchange({&out, 1}, {}, {4, "a gift"});
                  });
                },
                ErrorCategory::kInternal),
            "");
}

TEST(ThreadTransport, RanksThatWaitForEachOtherAreAnError) {
  const std::string text = error_of(
      [] {
        run_ranks(3, [](Transport& transport) {
          const int peer = 1 - transport.rank();
          if (transport.rank() < 2) transport.exchange({}, {&peer, 1}, {4, "a gift"});
        });
      },
      ErrorCategory::kInternal);
  EXPECT_EQ(text, "deadlock: all ranks wait for each other");
}

bool launched(const std::map<std::string, const char*>& environment) {
  return launched_by_mpi([&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second;
  });
}

TEST(Launcher, IsKnownByItsVariables) {
  EXPECT_FALSE(launched({}));
  EXPECT_TRUE(launched({{"OMPI_COMM_WORLD_SIZE", "4"}}));
  EXPECT_TRUE(launched({{"PMI_SIZE", "2"}}));
  EXPECT_TRUE(launched({{"PMIX_RANK", "0"}}));
  EXPECT_FALSE(launched({{"SLURM_NTASKS", "8"}})) << "a shell in an allocation is not a rank";
  EXPECT_TRUE(launched({{"SLURM_NTASKS", "8"}, {"PMI_FD", "5"}}));
  EXPECT_FALSE(launched({{"SLURM_STEP_NUM_TASKS", "1"}, {"PMI_FD", "5"}}));
  EXPECT_TRUE(launched({{"GRACEMOE_MPI", "1"}}));
  EXPECT_FALSE(launched({{"GRACEMOE_MPI", "0"}, {"OMPI_COMM_WORLD_SIZE", "4"}}));
}

}  // namespace
}  // namespace gracemoe
