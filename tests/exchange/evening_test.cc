#include "exchange/evening.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <set>

#include "base/error.h"
#include "exchange/clerk.h"
#include "exchange/exchange_case.h"
#include "exchange/wire.h"
#include "support/error_of.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

std::vector<Handover> evened(std::vector<std::int64_t> crossing) {
  return even_out(crossing);
}

TEST(Evening, ThoseAboveTheMeanGiveToThoseBelow) {
  EXPECT_EQ(evened({100, 0}), (std::vector<Handover>{{0, 1, 50}}));
  EXPECT_EQ(evened({0, 0, 90}), (std::vector<Handover>{{2, 0, 30}, {2, 1, 30}}));
  EXPECT_EQ(evened({60, 20, 60, 20}), (std::vector<Handover>{{0, 1, 20}, {2, 3, 20}}));
  EXPECT_EQ(evened({70, 0, 20}), (std::vector<Handover>{{0, 1, 30}, {0, 2, 10}}));
}

TEST(Evening, EvenDevicesAndFewRowsStayAsTheyAre) {
  EXPECT_TRUE(evened({}).empty());
  EXPECT_TRUE(evened({5}).empty());
  EXPECT_TRUE(evened({50, 50, 50}).empty());
  EXPECT_TRUE(evened({57, 50, 43}).empty());  // 7 rows
  EXPECT_EQ(evened({58, 50, 42}), (std::vector<Handover>{{0, 2, 8}}));
  EXPECT_TRUE(evened({15, 0}).empty());
  EXPECT_EQ(evened({16, 0}), (std::vector<Handover>{{0, 1, 8}}));
  EXPECT_EQ(evened({17, 0}), (std::vector<Handover>{{0, 1, 8}}));  // 9 and 8, not 8 and 9
}

TEST(Evening, NobodyEndsUpFurtherFromTheMeanThanTheFewestRows) {
  std::uint64_t seed = 7;
  for (int round = 0; round < 200; ++round) {
    std::vector<std::int64_t> rows;
    const int devices = 1 + round % 7;
    std::int64_t all = 0;
    for (int d = 0; d < devices; ++d) {
      seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
      rows.push_back(static_cast<std::int64_t>(seed >> 56));
      all += rows.back();
    }
    for (const Handover& handover : evened(rows)) {
      rows[static_cast<std::size_t>(handover.from)] -= handover.rows;
      rows[static_cast<std::size_t>(handover.to)] += handover.rows;
    }
    for (const std::int64_t its : rows) {
      EXPECT_LE(std::abs(its * devices - all), kFewestRowsHandedOver * devices * devices);
      EXPECT_GE(its, 0);
    }
  }
}

TEST(Evening, RowsThatCrossAreCountedAsTheKindSendsThem) {
  const Topology topology = Topology::parse("2x2");
  const std::vector<std::uint16_t> expert(8, 0);
  const std::vector<float> weight(8, 1.0F);
  const std::vector<std::int32_t> device{2, 2, 3, 0, 0, 1, 0, 1};
  const TokenRoutes routes{2, 4, expert, weight, device};
  EXPECT_EQ(crossing_rows(routes, ExchangeKind::kHierarchical, topology, 0),
            (std::vector<int>{1, 0}));
  EXPECT_EQ(crossing_rows(routes, ExchangeKind::kFlatPerDevice, topology, 0),
            (std::vector<int>{2, 0}));
  EXPECT_EQ(crossing_rows(routes, ExchangeKind::kFlatPerExpert, topology, 0),
            (std::vector<int>{3, 0}));
  EXPECT_EQ(crossing_rows(routes, ExchangeKind::kFlatPerExpert, topology, 3),
            (std::vector<int>{1, 4}));
}

TEST(Evening, TokensAreGivenFromTheLastOnNoneTwiceAndNoMoreThanAsked) {
  const std::vector<int> crossing{1, 3, 0, 2, 3};
  std::vector<bool> taken(5);
  EXPECT_EQ(tokens_to_give(crossing, 4, taken), (std::vector<int>{0, 4}));
  EXPECT_EQ(tokens_to_give(crossing, 5, taken), (std::vector<int>{1, 3}));
  EXPECT_TRUE(tokens_to_give(crossing, 5, taken).empty());
  EXPECT_EQ(taken, (std::vector<bool>{true, true, false, true, true}));
}

// What one device has for the other node, and what each sends then.
TEST(Evening, TwoDevicesSendAboutAsMuch) {
  ExchangeCase c;
  c.topology = Topology::parse("2x2");
  c.options = {ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, 64, 1, 16};
  c.pattern = Pattern::kIdleDevices;
  c.tokens = 200;
  for (const Even even : {Even::kNone, Even::kAuto, Even::kAlways}) {
    c.options.even = even;
    for (const bool uneven : {false, true}) {
      run_ranks(4, [&](Transport& transport) {
        const auto exchange = make_exchange(c.options, c.topology, transport);
        CaseTokens mine = make_tokens(c, transport.rank(), 0);
        mine.uneven = uneven;
        const ExpertWork& work = exchange->dispatch(0, mine.routes(), mine.rows);
        std::vector<float> out(static_cast<std::size_t>(mine.tokens) * 64);
        exchange->combine(stand_in_experts(work), out);
        std::vector<std::int64_t> sent(4);
        sent[static_cast<std::size_t>(transport.rank())] =
            exchange->counters().layers[0].cross_node_rows;
        transport.sum(std::span(sent));
        const bool evens = even == Even::kAlways || (even == Even::kAuto && uneven);
        for (const std::size_t node : {std::size_t{0}, std::size_t{2}}) {
          EXPECT_GT(sent[node], 0);
          if (evens)
            EXPECT_LE(std::abs(sent[node] - sent[node + 1]), 1) << to_string(even);
          else
            EXPECT_EQ(sent[node + 1], 0) << to_string(even);
        }
        EXPECT_EQ(exchange->counters().layers[0].tokens, mine.tokens);
        exchange->reset_counters();
        EXPECT_EQ(exchange->counters().layers[0].messages, 0);
      });
    }
  }
}

// Rank 1 of a node of two has no tokens and is handed 20, or what `damage` makes of the message.
std::string after_damage(const std::function<void(Bytes&)>& damage) {
  const Topology topology = Topology::parse("2,1");
  ExchangeOptions options{ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, 4, 1, 8};
  options.even = Even::kAlways;
  std::string error;
  run_ranks(3, [&](Transport& transport) {
    if (transport.rank() == 2) return;
    ExchangeCounters counters;
    counters.layers.resize(1);
    Clerk clerk(options, topology, transport.rank(), counters);
    clerk.begin_step(0);
    if (transport.rank() == 1) {
      const auto exchange = make_exchange(options, topology, transport);
      error = error_of(
          [&] {
            exchange->dispatch(0, {0, 1, {}, {}, {}}, {});
          },
          ErrorCategory::kPeer);
      return;
    }
    const Stamp counts = clerk.stamp({17, "counts"}), tokens = clerk.stamp({18, "tokens"});
    Bytes count, message;
    const std::uint32_t rows = 40;
    std::memcpy(begin_reply(counts, 0, 1, 4, count), &rows, 4);
    // Of a token: grid, weight, expert and device of its one choice, 4 numbers.
    constexpr std::size_t kToken = 4 + 4 + 2 + 2 + 8;
    std::byte* at = begin_reply(tokens, 0, 20, kToken, message);
    std::fill(at, at + 20 * kToken, std::byte{0});
    damage(message);
    const std::vector<int> neighbour{1};
    transport.exchange(std::vector<OutgoingMessage>{{1, count}}, neighbour, counts.phase);
    transport.exchange(std::vector<OutgoingMessage>{{1, message}}, {}, tokens.phase);
  });
  return error;
}

TEST(Evening, MessagesThatCannotBeRightAreNamed) {
  constexpr std::size_t kExperts = 32 + 20 * 8, kDevices = kExperts + 20 * 2;
  const auto expect = [](const std::function<void(Bytes&)>& damage, const std::string& what) {
    const std::string error = after_damage(damage);
    EXPECT_NE(
        error.find("message from rank 0 (tokens handed over inside the node, layer 0): " + what),
        std::string::npos)
        << error;
  };
  expect([&](Bytes& m) { m[kExperts + 2] = std::byte{8}; }, "expert id: got 8, wanted less than 8");
  expect([&](Bytes& m) { m[kDevices + 4] = std::byte{3}; }, "device: got 3, wanted less than 3");
  expect([](Bytes& m) { m.pop_back(); }, "rows of the reply: got 20, wanted 19");
  expect([](Bytes& m) { m.push_back({}); }, "bytes: got 433, wanted 432");
  expect([](Bytes& m) { m.resize(20); }, "bytes: got 20, wanted a header of 32");
}

// Messages carry a hash of the options; one with another is refused (wire_test).
TEST(Evening, RanksMustAgreeOnIt) {
  ExchangeOptions options{ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, 4, 1, 8};
  const Topology topology = Topology::parse("2,1");
  ExchangeCounters counters;
  std::set<std::uint32_t> hashes;
  for (const Even even : {Even::kNone, Even::kAuto, Even::kAlways}) {
    options.even = even;
    hashes.insert(Clerk(options, topology, 0, counters).stamp({}).config);
  }
  EXPECT_EQ(hashes.size(), 3U);
}

TEST(Evening, BrokenContractsAreErrors) {
  ExchangeCase c;
  c.topology = Topology::parse("2,1");
  c.options = {ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, 4, 1, 8};
  c.options.even = Even::kAlways;
  run_ranks(3, [&](Transport& transport) {
    const auto exchange = make_exchange(c.options, c.topology, transport);
    const std::vector<std::uint16_t> expert{1};
    const std::vector<float> weight{1.0F};
    const std::vector<std::int32_t> device{0}, elsewhere{3};
    const Bytes row(8);
    if (transport.rank() != 0) return;
    const auto broken = [&](const TokenRoutes& routes, std::span<const std::byte> rows,
                            int layer = 0) {
      return error_of([&] { exchange->dispatch(layer, routes, rows); }, ErrorCategory::kInternal);
    };
    EXPECT_NE(broken({1, 1, expert, weight, elsewhere}, row).find("device out of range"),
              std::string::npos);
    EXPECT_NE(broken({1, 2, expert, weight, device}, row).find("[tokens, top_k]"),
              std::string::npos);
    EXPECT_NE(broken({1, 1, expert, weight, device}, {}).find("[tokens, hidden]"),
              std::string::npos);
    EXPECT_NE(broken({1, 1, expert, weight, device}, row, 1).find("layer out of range"),
              std::string::npos);
    EXPECT_NE(broken({-1, 1, {}, {}, {}}, {}).find("below 0"), std::string::npos);
    const std::vector<float> grids(2);
    EXPECT_NE(broken({1, 1, expert, weight, device, grids}, row).find("grid is not [tokens]"),
              std::string::npos);
    std::vector<float> out;
    EXPECT_NE(error_of([&] { exchange->finish(1, out); }, ErrorCategory::kInternal).find("lane"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace gracemoe
