#include "exchange/row_packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "base/bf16.h"
#include "base/hash.h"
#include "exchange/packed_rows.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using Numbers = std::vector<std::uint16_t>;

Bytes packed(const Numbers& x) {
  Bytes bytes(packed_rows_bound(x.size()), std::byte{0xa5});
  const auto* rows = reinterpret_cast<const std::byte*>(x.data());
  bytes.resize(static_cast<std::size_t>(pack_rows(rows, x.size(), bytes.data()) - bytes.data()));
  return bytes;
}

// From a copy without a byte to spare.
void expect_same_bits(const Numbers& x) {
  const Bytes bytes = packed(x);
  Numbers got(x.size(), 0x7777);
  ASSERT_EQ(unpack_rows(bytes, x.size(), reinterpret_cast<std::byte*>(got.data())), bytes.size());
  ASSERT_EQ(got, x);
  ASSERT_GE(bytes.size(), packed_rows_least(x.size()));
}

// The slow twin: a bit at a time.
Bytes packed_slowly(const Numbers& x) {
  Bytes bytes;
  const auto put = [&](unsigned byte) { bytes.push_back(static_cast<std::byte>(byte)); };
  for (std::size_t begin = 0; begin < x.size(); begin += 128) {
    const std::size_t count = std::min<std::size_t>(128, x.size() - begin);
    const auto exponent = [&](std::size_t i) { return (x[begin + i] >> 7) & 255U; };
    unsigned base = 0;
    for (std::size_t i = 0; i < count; ++i) base = std::max(base, exponent(i));
    const std::size_t padded = (count + 7) / 8 * 8;
    std::size_t best = 1000, width = 0;
    for (std::size_t w = 1; w <= 4; ++w) {
      std::size_t size = padded * w / 8;
      for (std::size_t i = 0; i < count; ++i) size += base - exponent(i) >= (1U << w) - 1 ? 1 : 0;
      if (size < best) best = size, width = w;
    }
    if (base == 255 || 2 + count + best > 2 * count) {
      put(255);
      for (std::size_t i = 0; i < count; ++i) put(x[begin + i] & 255U), put(x[begin + i] >> 8U);
      continue;
    }
    put(base);
    put(static_cast<unsigned>(width));
    for (std::size_t i = 0; i < count; ++i)
      put((x[begin + i] >> 15U) << 7U | (x[begin + i] & 127U));
    const auto code = [&](std::size_t i) {
      return i < count ? std::min(base - exponent(i), (1U << width) - 1) : 0;
    };
    std::size_t shift = 0;
    for (const std::size_t bits : {4U, 2U, 1U}) {
      if (width - shift < bits) continue;
      const std::size_t length = padded * bits / 8;
      for (std::size_t q = 0; q < length; ++q) {
        unsigned byte = 0;
        for (std::size_t part = 0; part < 8 / bits; ++part)
          byte |= ((code(q + part * length) >> shift) & ((1U << bits) - 1)) << (part * bits);
        put(byte);
      }
      shift += bits;
    }
    for (std::size_t i = 0; i < count; ++i)
      if (code(i) == (1U << width) - 1) put(exponent(i));
  }
  return bytes;
}

class Random {
 public:
  std::uint64_t next() { return hash_combine(11, ++count_); }
  // About normal.
  float normal() {
    float sum = 0;
    for (int i = 0; i < 12; ++i) sum += static_cast<float>(unit_interval(next()));
    return sum - 6;
  }

 private:
  std::uint64_t count_ = 0;
};

TEST(RowPacking, EveryLengthAndSpreadEqualsTheSlowTwin) {
  Random random;
  for (const std::size_t count : {1U, 2U, 3U, 7U, 8U, 13U, 127U, 128U, 129U, 301U}) {
    for (unsigned spread = 1; spread <= 256; spread *= 2) {
      Numbers x(count);
      for (auto& number : x) {
        const unsigned exponent = 200 - static_cast<unsigned>(random.next() % spread) % 200;
        number = static_cast<std::uint16_t>((random.next() & 0x807fU) | exponent << 7U);
      }
      ASSERT_EQ(packed(x), packed_slowly(x)) << count << " " << spread;
      expect_same_bits(x);
    }
  }
}

TEST(RowPacking, AnyBitsComeBack) {
  Random random;
  for (int round = 0; round < 300; ++round) {
    Numbers x(1 + random.next() % 400);
    for (auto& number : x) number = static_cast<std::uint16_t>(random.next());
    expect_same_bits(x);
  }
  Numbers every(65536);
  for (std::size_t i = 0; i < every.size(); ++i) every[i] = static_cast<std::uint16_t>(i);
  expect_same_bits(every);
}

TEST(RowPacking, ZerosDenormalsInfinitiesAndNaNsAmongActivations) {
  Random random;
  const std::uint16_t strange[] = {0x0000, 0x8000, 0x0001, 0x807f, 0x7f80,
                                   0xff80, 0x7fc0, 0xffff, 0x7f7f, 0x0080};
  for (const std::uint16_t number : strange) {
    for (const std::size_t every : {1U, 2U, 50U, 1000U}) {
      Numbers x(640);
      for (std::size_t i = 0; i < x.size(); ++i)
        x[i] = i % every == every - 1 ? number : to_bf16(random.normal()).bits;
      ASSERT_EQ(packed(x), packed_slowly(x));
      expect_same_bits(x);
    }
  }
}

TEST(RowPacking, ActivationsTakeElevenAndAHalfBits) {
  Random random;
  Numbers x(2048);
  for (auto& number : x) number = to_bf16(random.normal()).bits;
  const double bits = 8.0 * static_cast<double>(packed(x).size()) / 2048;
  EXPECT_LT(bits, 11.5);
  EXPECT_GT(bits, 10.6);  // what the numbers carry
}

TEST(RowPacking, DamagedBytesAreRefusedOrGiveNumbers) {
  Random random;
  Numbers x(300);
  for (auto& number : x) number = to_bf16(random.normal()).bits;
  const Bytes whole = packed(x);
  Numbers got(x.size());
  auto* out = reinterpret_cast<std::byte*>(got.data());
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length));
    EXPECT_EQ(unpack_rows(part, x.size(), out), 0U) << length;
  }
  for (int round = 0; round < 2000; ++round) {
    Bytes bytes = whole;
    bytes[random.next() % bytes.size()] = static_cast<std::byte>(random.next());
    EXPECT_LE(unpack_rows(bytes, x.size(), out), bytes.size());
  }
}

// Messages.
constexpr Stamp kStamp{0xabcd, 7, {11, "dispatch between nodes", 3}};
constexpr int kHidden = 200;

class PackedMessage : public testing::Test {
 protected:
  PackedMessage() : rows_(3 * kHidden) {
    Random random;
    for (auto& number : rows_) number = to_bf16(random.normal()).bits;
    format_.row_bytes = 2 * kHidden;
    format_.experts = 8;
    format_.packed_rows = true;
    for (std::size_t r = 0; r < 3; ++r) {
      set_.begin_row(reinterpret_cast<const std::byte*>(rows_.data() + r * kHidden), 0);
      set_.add_entry(static_cast<std::uint16_t>(r), 0, 1);
    }
    encode();
  }
  void encode() { encode_rows(set_, kStamp, 5, format_, plain_); }
  std::string refusal(Bytes bytes) {
    RowSet got;
    return error_of([&] { read_rows(bytes, kStamp, 5, format_, got); }, ErrorCategory::kPeer);
  }

  Numbers rows_;
  RowFormat format_;
  RowSet set_;
  Bytes plain_;
};

TEST_F(PackedMessage, ComesBackAsItWas) {
  Bytes message = plain_;
  const std::size_t payload = pack_message(format_, message);
  EXPECT_LT(payload, 3 * kHidden * 2 * 3 / 4);
  EXPECT_EQ(plain_.size() - message.size(), 3 * kHidden * 2 - payload);
  unpack_message(kStamp, 5, format_, message);
  EXPECT_EQ(message, plain_);
}

TEST_F(PackedMessage, WhatGainsNothingStaysAsItIs) {
  Random random;
  for (auto& number : rows_) number = static_cast<std::uint16_t>(random.next());
  encode();
  Bytes message = plain_;
  EXPECT_EQ(pack_message(format_, message), 3U * kHidden * 2);
  EXPECT_EQ(message, plain_);
  set_.clear();
  encode();
  message = plain_;
  EXPECT_EQ(pack_message(format_, message), 0U);
  EXPECT_EQ(message, plain_);
}

TEST_F(PackedMessage, DamageIsAnError) {
  Bytes message = plain_;
  pack_message(format_, message);
  Bytes cut = message;
  cut.pop_back();
  EXPECT_NE(refusal(cut).find("message from rank 5 (dispatch between nodes, layer 3): packed rows"),
            std::string::npos);
  Bytes longer = message;
  longer.push_back(std::byte{0});
  EXPECT_NE(refusal(longer).find("packed rows"), std::string::npos);
  Bytes many = message;  // rows of 2^32 - 1
  std::fill_n(many.begin() + offsetof(WireHeader, rows), 4, std::byte{255});
  EXPECT_NE(refusal(many).find("bytes of packed rows"), std::string::npos);
  format_.packed_rows = false;
  EXPECT_NE(refusal(message).find("magic"), std::string::npos);
}

}  // namespace
}  // namespace gracemoe
