#include "exchange/wire.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstring>

#include "base/error.h"
#include "base/hash.h"
#include "exchange/exchange_case.h"
#include "support/error_of.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

constexpr Stamp kStamp{0xabcd, 7, {11, "dispatch between nodes", 3}};
constexpr int kSender = 5;

// Two rows of 6 bytes for a gateway of devices 4 to 6: three entries (a partial sum under fp32),
// one.
class WireTest : public testing::Test {
 protected:
  WireTest() {
    for (std::size_t i = 0; i < elements_.size(); ++i) elements_[i] = static_cast<std::byte>(i);
    set_.begin_row(elements_.data() + 6, 0.0625F);
    set_.add_entry(9, 4, 0.5F);
    set_.add_entry(2, 6, 0.25F);
    set_.add_entry(300, 4, 0.125F);
    set_.begin_row(elements_.data(), 0.5F);
    set_.add_entry(1, 5, 1.0F);
    payload_ = encode_rows(set_, kStamp, kSender, format_, message_);
  }

  RowSet decode(const Bytes& bytes, int sender = kSender) const {
    RowSet set;
    decode_rows(bytes, kStamp, sender, format_, set);
    return set;
  }
  std::string refusal(const Bytes& bytes, int sender = kSender) const {
    return error_of([&] { decode(bytes, sender); }, ErrorCategory::kPeer);
  }
  template <typename T>
  std::string refusal_with(std::size_t at, T value) const {
    Bytes changed = message_;
    std::memcpy(changed.data() + at, &value, sizeof value);
    return refusal(changed);
  }

  Bytes elements_ = Bytes(12);
  RowSet set_;
  RowFormat format_{6, ReplyRule{2}, 301, 4, 3};
  Bytes message_;
  std::size_t payload_ = 0;
};

#define EXPECT_SAYS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(WireTest, WhatIsEncodedIsDecoded) {
  const RowSet got = decode(message_);
  EXPECT_EQ(payload_, 12U);
  // 32 header, grid and 3 weights, 4 experts, 4 devices, 2 counts, padding to 4, the rows.
  EXPECT_EQ(message_.size(), 32U + 4 + 12 + 8 + 4 + 2 + 2 + 12);
  EXPECT_EQ(got.grid[0], 0.0625F);
  EXPECT_TRUE(std::isnan(got.grid[1]));
  EXPECT_EQ(got.first, set_.first);
  EXPECT_EQ(got.expert, set_.expert);
  EXPECT_EQ(got.device, set_.device);
  ASSERT_EQ(got.rows(), 2);
  EXPECT_EQ(std::memcmp(got.row[0], elements_.data() + 6, 6), 0);
  EXPECT_EQ(std::memcmp(got.row[1], elements_.data(), 6), 0);
  EXPECT_EQ(std::vector<float>(got.weight.begin(), got.weight.begin() + 3),
            (std::vector<float>{0.5F, 0.25F, 0.125F}));
  EXPECT_TRUE(std::isnan(got.weight[3])) << "a weight that does not travel must not look like one";
}

TEST_F(WireTest, EntriesAreUnderTwoPercentOfARow) {
  RowSet set;
  const Bytes row(std::size_t{2} * 2048);
  for (int r = 0; r < 100; ++r) {
    set.begin_row(row.data(), 0);
    for (int e = 0; e < 8; ++e) set.add_entry(static_cast<std::uint16_t>(e), 4 + e % 3, 0.1F);
  }
  format_.row_bytes = row.size();
  const std::size_t payload = encode_rows(set, kStamp, kSender, format_, message_);
  EXPECT_EQ(payload, 100 * row.size());
  EXPECT_LE(message_.size() - payload, 100U * 82);
}

TEST_F(WireTest, NoRowsIsAHeader) {
  EXPECT_EQ(encode_rows(RowSet(), kStamp, kSender, format_, message_), 0U);
  EXPECT_EQ(message_.size(), 32U);
  EXPECT_EQ(decode(message_).rows(), 0);
}

TEST_F(WireTest, RanksOutOfStepAreNamed) {
  EXPECT_EQ(refusal_with(offsetof(WireHeader, layer), std::uint16_t{4}),
            "message from rank 5 (dispatch between nodes, layer 3): layer: got 4, wanted 3; the "
            "ranks are out of step or their memory is damaged: are all of them the same program, "
            "with the same options?");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, magic), 1U), "magic: got 1");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, config), 1U), "hash of options and topology");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, step), 8U), "step: got 8, wanted 7");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, phase), std::uint16_t{12}), "phase: got 12");
  EXPECT_SAYS(refusal(message_, 6), "message from rank 6");
  EXPECT_SAYS(refusal(message_, 6), "sender: got 5, wanted 6");
}

TEST_F(WireTest, DamagedMessagesAreRefused) {
  EXPECT_SAYS(refusal(Bytes(31)), "bytes: got 31, wanted a header of 32");
  EXPECT_SAYS(refusal(Bytes()), "bytes: got 0");
  Bytes cut(message_.begin(), message_.end() - 1);
  EXPECT_SAYS(refusal(cut), "bytes: got 75, wanted 76");
  cut.resize(message_.size() + 4);
  EXPECT_SAYS(refusal(cut), "bytes: got 80, wanted 76");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, rows), 0xffffffffU), "bytes: got 76, wanted");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, entries), 0xffffffffU), "bytes: got 76, wanted");
  EXPECT_SAYS(refusal_with(offsetof(WireHeader, weights), 0xffffffffU), "bytes: got 76, wanted");
  const std::size_t experts = 32 + 16;
  const std::size_t devices = experts + 8;
  const std::size_t counts = devices + 4;
  EXPECT_SAYS(refusal_with(experts + 2, std::uint16_t{301}), "expert id: got 301, wanted less");
  EXPECT_SAYS(refusal_with(devices + 1, std::uint8_t{3}), "device of the node: got 3, wanted less");
  EXPECT_SAYS(refusal_with(counts, std::uint8_t{0}), "entries of row 0: got 0");
  EXPECT_SAYS(refusal_with(counts, std::uint8_t{4}), "entries of all rows: got 5, wanted 4");
  // The same sum, but no row is left that needs the weights.
  EXPECT_SAYS(refusal_with(counts, std::uint16_t{0x0202}), "weights: got 4, wanted 0");
}

TEST_F(WireTest, NoChangeOfBytesIsDangerous) {
  std::uint64_t state = 1;
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    Bytes bytes = message_;
    for (int change = 0; change < 1 + round % 3; ++change) {
      state = mix64(state + 1);
      // Beyond the fields that are compared: the counts and all that follows.
      const std::size_t at = 20 + state % (bytes.size() - 20);
      bytes[at] = static_cast<std::byte>(state >> 40U);
    }
    if (round % 5 == 0) bytes.resize((state >> 20U) % (bytes.size() + 8));
    try {
      const RowSet set = decode(bytes);
      ++accepted;
      for (int r = 0; r < set.rows(); ++r) {
        const std::byte* row = set.row[static_cast<std::size_t>(r)];
        ASSERT_GE(row, bytes.data());
        ASSERT_LE(row + 6, bytes.data() + bytes.size());
      }
      for (int e = 0; e < set.entries(); ++e) {
        ASSERT_LT(set.expert[static_cast<std::size_t>(e)], 301);
        ASSERT_TRUE(set.device[static_cast<std::size_t>(e)] >= 4 &&
                    set.device[static_cast<std::size_t>(e)] <= 6);
      }
    } catch (const Error& e) {
      ASSERT_EQ(e.category(), ErrorCategory::kPeer);
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(Reply, IsDecodedOrRefused) {
  Bytes bytes;
  std::byte* units = begin_reply(kStamp, kSender, 3, 6, bytes);
  EXPECT_EQ(bytes.size(), 32U + 18);
  EXPECT_EQ(units, bytes.data() + 32);
  EXPECT_EQ(decode_reply(bytes, kStamp, kSender, 3, 6), bytes.data() + 32);
  const auto refusal = [&](int wanted) {
    return error_of([&] { decode_reply(bytes, kStamp, kSender, wanted, 6); }, ErrorCategory::kPeer);
  };
  EXPECT_SAYS(refusal(4), "rows of the reply: got 3, wanted 4");
  bytes.pop_back();
  EXPECT_SAYS(refusal(3), "bytes: got 49, wanted 50");
}

// Passes messages on with one byte changed in the n-th exchange.
class Tampering final : public Transport {
 public:
  Tampering(Transport& inner, int when, std::size_t at) : inner_(inner), when_(when), at_(at) {}
  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override {
    std::vector<IncomingMessage> in = inner_.exchange(out, from, phase);
    if (when_-- == 0) in.front().bytes.at(at_) ^= std::byte{0x80};
    return in;
  }

 private:
  Transport& inner_;
  int when_;
  std::size_t at_;
};

// Whatever phase the damage hits, the job ends with an error of that rank; none hangs.
TEST(Damage, EndsTheJobWithAnError) {
  ExchangeCase c;
  c.topology = Topology::grid(2, 2);
  c.options = {ExchangeKind::kHierarchical, Reduction::kFp32, Element::kBf16, 8, 1, 16};
  c.steps = 1;
  const char* phases[] = {"dispatch between nodes, layer 0", "dispatch inside the node, layer 0",
                          "combine inside the node, layer 0", "combine between nodes, layer 0"};
  for (int phase = 0; phase < 4; ++phase) {
    const std::string text = error_of(
        [&] {
          run_ranks(4, [&](Transport& transport) {
            Tampering tampering(transport, transport.rank() == 2 ? phase : -1, 20);
            run_case(c, tampering);
          });
        },
        ErrorCategory::kPeer);
    EXPECT_SAYS(text, phases[phase]);
    EXPECT_SAYS(text, "message from rank");
  }
}

TEST(Damage, DifferentOptionsOnTwoRanksAreNoticed) {
  const std::string text = error_of(
      [] {
        run_ranks(2, [](Transport& transport) {
          ExchangeCase c;
          c.topology = Topology::grid(2, 1);
          c.options = {ExchangeKind::kFlatPerDevice, Reduction::kFp32, Element::kBf16, 8, 1, 16};
          if (transport.rank() == 1) c.options.reduction = Reduction::kExact;
          run_case(c, transport);
        });
      },
      ErrorCategory::kPeer);
  EXPECT_SAYS(text, "hash of options and topology");
}

}  // namespace
}  // namespace gracemoe
