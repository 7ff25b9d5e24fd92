#include "exchange/link_timing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "base/error.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Each rank's time stands still but in messages: what one takes, and bytes over a rate of its own.
class TimedTransport final : public Transport {
 public:
  TimedTransport(Transport& real, double bytes_per_s, double latency = 0)
      : real_(real), rate_(bytes_per_s), latency_(latency) {}
  int rank() const override { return real_.rank(); }
  int size() const override { return real_.size(); }
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override {
    for (const OutgoingMessage& message : out) {
      if (phase.tag == 800) messages_.push_back(message.bytes.size());
      now_ += latency_ + static_cast<double>(message.bytes.size()) / rate_;
    }
    return real_.exchange(out, from, phase);
  }
  double now() const { return now_; }
  const std::vector<std::size_t>& messages() const { return messages_; }

 private:
  Transport& real_;
  double rate_, latency_, now_ = 0;
  std::vector<std::size_t> messages_;  // of the timing
};

TEST(LinkTiming, TwoEndsGiveTheLongerAndEveryRankKnowsAll) {
  std::mutex mutex;
  std::set<std::vector<std::vector<double>>> results;
  run_ranks(5, [&](Transport& real) {
    TimedTransport transport(real, real.rank() == 3 ? 1e3 : 1e6);
    SwapOptions options;
    options.sizes = {100, 1000};
    options.longest_seconds = 1e9;
    options.clock = [&] { return transport.now(); };
    const std::vector<int> partner{1, 0, 3, 2, -1};
    const auto times = time_swaps(transport, partner, options);
    const std::lock_guard lock(mutex);
    results.insert(times);
  });
  ASSERT_EQ(results.size(), 1U);
  const auto& times = *results.begin();
  ASSERT_EQ(times.size(), 2U);
  EXPECT_NEAR(times[0][0], 1e-4, 1e-12);
  EXPECT_NEAR(times[1][1], 1e-3, 1e-12);
  EXPECT_NEAR(times[0][2], 0.1, 1e-9);
  EXPECT_NEAR(times[1][3], 1.0, 1e-9);
  EXPECT_EQ(times[0][4], 0);
}

TEST(LinkTiming, RepeatsAndSizesKeepToTheTime) {
  run_ranks(2, [&](Transport& real) {
    TimedTransport transport(real, 1e3);
    SwapOptions options;
    options.sizes = {10, 100, 1000, 10000, 10001};
    options.seconds_per_size = 0.505;
    options.longest_seconds = 0.5;
    options.clock = [&] { return transport.now(); };
    const auto times = time_swaps(transport, std::vector<int>{1, 0}, options);
    EXPECT_NEAR(times[1][0], 0.1, 1e-9);
    EXPECT_NEAR(times[2][0], 1, 1e-9);  // three sizes in any case
    EXPECT_EQ(times[3][0], 0);          // would take 10 s
    EXPECT_EQ(times[4][0], 0);
    // One untimed each time; 10 to learn, then 0.505 s / 10 ms, then 5 and 3 at least.
    EXPECT_EQ(transport.messages().size(), 11U + 51U + 6U + 4U);
  });
}

// On busy cores a small message takes as long as one a hundred times its size: no reason to stop.
TEST(LinkTiming, SizesGoOnUntilBytesAreFelt) {
  run_ranks(2, [&](Transport& real) {
    TimedTransport transport(real, 10e6, 0.015);
    SwapOptions options;
    options.sizes = {256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304};
    options.seconds_per_size = 0.01;
    options.longest_seconds = 0.02;
    options.clock = [&] { return transport.now(); };
    const auto times = time_swaps(transport, std::vector<int>{1, 0}, options);
    EXPECT_NEAR(times[5][0], 0.0412, 1e-3);
    EXPECT_NEAR(times[6][0], 0.1199, 1e-3);  // now they are
    EXPECT_EQ(times[7][0], 0);
  });
}

TEST(LinkTiming, LargeSizesAreForLinksWhoseBytesAreNotFeltBefore) {
  for (const double latency : {1e-6, 0.015}) {
    run_ranks(2, [&](Transport& real) {
      TimedTransport transport(real, 1e9, latency);
      SwapOptions options;
      options.sizes = {256, 4096, 65536, 1048576, 4194304, 67108864};
      options.enough_bytes = 4194304;
      options.longest_seconds = 0.5;
      options.clock = [&] { return transport.now(); };
      const auto times = time_swaps(transport, std::vector<int>{1, 0}, options);
      EXPECT_GT(times[4][0], 0);
      EXPECT_EQ(times[5][0] > 0, latency > 0.01);
    });
  }
}

TEST(LinkTiming, SizesThatTakeTooLongEndAlsoWhereBytesAreNotFelt) {
  run_ranks(2, [&](Transport& real) {
    TimedTransport transport(real, 1e12, 0.3);
    SwapOptions options;
    options.sizes = {256, 1024, 4096, 16384};
    options.seconds_per_size = 0.01;
    options.longest_seconds = 0.02;
    options.clock = [&] { return transport.now(); };
    const auto times = time_swaps(transport, std::vector<int>{1, 0}, options);
    EXPECT_GT(times[2][0], 0);
    EXPECT_EQ(times[3][0], 0);
  });
}

TEST(LinkTiming, BytesAreFeltAgainstMuchSmallerSizesOnly) {
  const std::vector<std::size_t> sizes{100, 400, 1000, 4000};
  EXPECT_FALSE(bytes_are_felt(sizes, {}, 2));
  EXPECT_FALSE(bytes_are_felt(sizes, std::vector<double>{1}, 2));
  EXPECT_FALSE(bytes_are_felt(sizes, std::vector<double>{1, 9}, 2));
  EXPECT_FALSE(bytes_are_felt(sizes, std::vector<double>{1, 9, 1.9}, 2));
  EXPECT_TRUE(bytes_are_felt(sizes, std::vector<double>{1, 9, 2}, 2));
  EXPECT_TRUE(bytes_are_felt(sizes, std::vector<double>{3, 1, 3, 2}, 2));
  EXPECT_FALSE(bytes_are_felt(sizes, std::vector<double>{3, 1.1, 1, 2}, 2));
}

TEST(LinkTiming, PartnersMustNameEachOther) {
  for (const std::vector<int>& partner : {std::vector<int>{1, -1}, std::vector<int>{0, -1},
                                          std::vector<int>{2, -1}, std::vector<int>{1}}) {
    EXPECT_THROW(
        run_ranks(2,
                  [&](Transport& transport) {
                    time_swaps(transport, partner, SwapOptions{{8}, 1, 1, [] { return 0.; }});
                  }),
        Error);
  }
}

TEST(RoundRobin, EveryPairMeetsOnce) {
  EXPECT_TRUE(round_robin(0).empty());
  EXPECT_TRUE(round_robin(1).empty());
  EXPECT_THAT(round_robin(2), ElementsAre(ElementsAre(1, 0)));
  for (int count = 2; count <= 9; ++count) {
    const auto rounds = round_robin(count);
    EXPECT_EQ(rounds.size(), static_cast<std::size_t>(count - 1 + count % 2));
    std::set<std::pair<int, int>> met;
    for (const auto& opponent : rounds) {
      for (int a = 0; a < count; ++a) {
        const int b = opponent[static_cast<std::size_t>(a)];
        if (b < 0) continue;
        EXPECT_NE(a, b);
        EXPECT_EQ(opponent[static_cast<std::size_t>(b)], a);
        if (a > b) continue;
        EXPECT_TRUE(met.emplace(a, b).second) << a << " and " << b << " again";
      }
    }
    EXPECT_EQ(met.size(), static_cast<std::size_t>(count * (count - 1) / 2));
  }
}

}  // namespace
}  // namespace gracemoe
