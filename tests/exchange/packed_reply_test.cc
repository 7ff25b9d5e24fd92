#include "exchange/packed_reply.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bf16.h"
#include "base/error.h"
#include "base/hash.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

constexpr Stamp kStamp{0xabcd, 7, {14, "combine between nodes", 3}};
constexpr int kSelf = 0, kSender = 5, kHidden = 20;
constexpr float kGrid = 0x1p-12F;

// A row of one entry, of two that make a short sum, of two off the grid, of three.
class PackedReplyTest : public testing::Test {
 protected:
  PackedReplyTest() {
    options_.hidden = kHidden;
    add_row(1, kGrid);
    add_row(2, kGrid);
    add_row(2, 0);
    add_row(3, kGrid);
    for (std::size_t i = 0; i < kHidden * std::size_t{8}; ++i) {
      const bf16 value = to_bf16(static_cast<float>(unit_interval(mix64(i + 1))) - 0.5F);
      std::memcpy(outputs_.data() + 2 * i, &value, sizeof value);
    }
    for (std::int32_t e = 0; e < 8; ++e) {
      shares_.push_back({kSelf, e, Share::Kind::kRow});
      place_.push_back(e);
    }
    mine_ = Replies::none(options_, rule_, 1, kSelf);
    mine_.outputs = outputs_.data();
    mine_.place = place_;
    payload_ = encode_packed_reply(set_, RowRange::all(set_), shares_, mine_, rule_, kStamp,
                                   kSender, message_);
  }

  void add_row(int entries, float grid) {
    set_.begin_row(nullptr, grid);
    for (int e = 0; e < entries; ++e) set_.add_entry(0, 0, 0.25F);
  }
  std::string refusal(const Bytes& bytes) {
    return error_of([&] { decode(bytes); }, ErrorCategory::kPeer);
  }
  Replies decode(const Bytes& bytes) {
    Replies replies = Replies::none(options_, rule_, 6, kSelf);
    decode_packed_reply(bytes, kStamp, kSender, set_, RowRange::all(set_), rule_, replies);
    return replies;
  }

  ExchangeOptions options_;
  ReplyRule rule_ = ReplyRule::of(Reduction::kFp32, Element::kBf16);
  RowSet set_;
  Bytes outputs_ = Bytes(kHidden * std::size_t{2} * 8);
  std::vector<Share> shares_;
  std::vector<std::int32_t> place_;
  Replies mine_;
  Bytes message_;
  std::size_t payload_ = 0;
};

TEST_F(PackedReplyTest, HomeSumsWhatTheSenderWouldHaveSummed) {
  Replies replies = decode(message_);
  std::vector<Share> home;
  const std::array<int, 4> first{0, 1, 3, 5};
  for (int r = 0; r < 4; ++r)
    for (int e = 0; e < set_.count(r); ++e) {
      const bool covered = r == 3 && e > 0;
      home.push_back({kSender, first[static_cast<std::size_t>(r)] + (r == 3 ? 0 : e),
                      r < 3     ? Share::Kind::kRow
                      : covered ? Share::Kind::kCovered
                                : Share::Kind::kPartial});
    }
  std::vector<float> wanted(kHidden * std::size_t{4}), got(wanted.size());
  sum_rows(set_, shares_, mine_, wanted);
  sum_rows(set_, home, replies, got);
  EXPECT_EQ(got, wanted);
}

TEST_F(PackedReplyTest, InPartsItIsTheSame) {
  const Replies whole = decode(message_);
  Replies replies = Replies::none(options_, rule_, 6, kSelf);
  for (const RowRange rows : {RowRange{0, 2}, RowRange{2, 3}, RowRange{3, 4}}) {
    Bytes part;
    Stamp stamp = kStamp;
    stamp.first_row = rows.first;
    encode_packed_reply(set_, rows, shares_, mine_, rule_, stamp, kSender, part);
    Stamp other = kStamp;
    other.first_row = rows.first + 1;
    EXPECT_NE(
        error_of([&] { decode_packed_reply(part, other, kSender, set_, rows, rule_, replies); },
                 ErrorCategory::kPeer)
            .find("first row of the reply: got " + std::to_string(rows.first)),
        std::string::npos);
    Bytes longer = part;
    longer.push_back(std::byte{0});
    Replies wasted = replies;
    EXPECT_NE(
        error_of([&] { decode_packed_reply(longer, stamp, kSender, set_, rows, rule_, wasted); },
                 ErrorCategory::kPeer)
            .find("bytes behind a packed reply: got 1"),
        std::string::npos);
    decode_packed_reply(part, stamp, kSender, set_, rows, rule_, replies);
    EXPECT_EQ(replies.units_here[kSender], reply_units(set_, rule_, {0, rows.last}));
  }
  EXPECT_EQ(replies.kinds[kSender], whole.kinds[kSender]);
  EXPECT_EQ(replies.messages[kSender], whole.messages[kSender]);
}

TEST_F(PackedReplyTest, EveryRowTravelsInItsShortestForm) {
  const std::array<std::byte, 4> forms{std::byte{0}, std::byte{1}, std::byte{0}, std::byte{1}};
  EXPECT_EQ(std::memcmp(message_.data() + sizeof(WireHeader), forms.data(), forms.size()), 0);
  EXPECT_EQ(payload_, message_.size() - sizeof(WireHeader) - forms.size());
  EXPECT_LT(payload_, kHidden * (2U + 3 + 4 + 3));
}

TEST_F(PackedReplyTest, DamagedRepliesAreRefused) {
  const auto expect_says = [](const std::string& text, const char* part) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  };
  Bytes bytes = message_;
  bytes.push_back(std::byte{0});
  expect_says(refusal(bytes), "bytes behind a packed reply: got 1, wanted 0");
  bytes.resize(message_.size() - 1);
  expect_says(refusal(bytes), "row 3 of a packed reply: got form 1 with ");
  bytes.resize(sizeof(WireHeader) + 3);
  expect_says(refusal(bytes), "bytes of a packed reply: got 3, wanted at least 4");
  bytes = message_;
  bytes[sizeof(WireHeader)] = std::byte{1};
  expect_says(refusal(bytes), "row 0 of a packed reply: got form 1");
  bytes = message_;
  bytes[sizeof(WireHeader) + 3] = std::byte{0};
  expect_says(refusal(bytes), "row 3 of a packed reply: got form 0");
  bytes = message_;
  bytes[offsetof(WireHeader, rows)] ^= std::byte{1};
  expect_says(refusal(bytes), "rows of the reply: got 6, wanted 7");
}

TEST_F(PackedReplyTest, NoChangeOfBytesIsDangerous) {
  std::uint64_t state = 1;
  for (int round = 0; round < 5000; ++round) {
    Bytes bytes = message_;
    state = mix64(state + 1);
    bytes[20 + state % (bytes.size() - 20)] = static_cast<std::byte>(state >> 40U);
    try {
      decode(bytes);
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace gracemoe
