#include "exchange/packing.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "base/hash.h"

namespace gracemoe {
namespace {

using Packed = std::vector<std::byte>;

Packed packed(const std::vector<float>& sums, float grid) {
  Packed bytes(packed_sums_bound(sums.size()), std::byte{0xa5});
  bytes.resize(static_cast<std::size_t>(pack_sums(sums, grid, bytes.data()) - bytes.data()));
  return bytes;
}

// What comes out again, from a copy without a byte to spare.
std::vector<float> unpacked(const Packed& bytes, float grid, std::size_t count) {
  std::vector<float> sums(count, 77.0F);
  EXPECT_EQ(unpack_sums(bytes, grid, count, reinterpret_cast<std::byte*>(sums.data())),
            bytes.size());
  return sums;
}

void expect_same_bits(const std::vector<float>& sums, float grid) {
  const std::vector<float> got = unpacked(packed(sums, grid), grid, sums.size());
  ASSERT_EQ(std::memcmp(got.data(), sums.data(), sums.size() * sizeof(float)), 0);
}

// The slow twin: a bit at a time, from the header's words.
Packed packed_slowly(const std::vector<float>& sums, float grid) {
  Packed bytes;
  for (std::size_t begin = 0; begin < sums.size(); begin += kPackedBlock) {
    const std::size_t count = std::min(kPackedBlock, sums.size() - begin);
    std::vector<std::int64_t> n((count + 7) / 8 * 8);
    bool raw = false;
    for (std::size_t i = 0; i < count; ++i) {
      const double x = sums[begin + i], q = x / static_cast<double>(grid);
      raw = raw || !(q >= -0x1p22 && q < 0x1p22) || q != std::nearbyint(q) ||
            (x == 0 && std::signbit(x));
      if (!raw) n[i] = static_cast<std::int64_t>(q);
    }
    int width = std::all_of(n.begin(), n.end(), [](auto v) { return v == 0; }) ? 0 : 1;
    for (const std::int64_t v : n)
      while (width > 0 && (v < -(1LL << (width - 1)) || v >= 1LL << (width - 1))) ++width;
    raw = raw || n.size() * static_cast<std::size_t>(width) / 8 >= 4 * count;
    bytes.push_back(static_cast<std::byte>(raw ? 255 : width));
    if (raw) {
      const auto* data = reinterpret_cast<const std::byte*>(sums.data() + begin);
      bytes.insert(bytes.end(), data, data + count * sizeof(float));
      continue;
    }
    int shift = 0;
    for (const std::size_t bits : {8U, 8U, 4U, 2U, 1U}) {
      if (width - shift < static_cast<int>(bits)) continue;
      const std::size_t length = n.size() * bits / 8;
      Packed plane(length);
      for (std::size_t i = 0; i < n.size(); ++i)
        for (std::size_t bit = 0; bit < bits; ++bit)
          if ((n[i] >> (static_cast<std::size_t>(shift) + bit)) & 1)
            plane[i % length] |= static_cast<std::byte>(1U << (i / length * bits + bit));
      bytes.insert(bytes.end(), plane.begin(), plane.end());
      shift += static_cast<int>(bits);
    }
  }
  return bytes;
}

class Random {
 public:
  std::uint64_t next() { return hash_combine(7, ++count_); }
  std::int64_t below(std::int64_t n) {
    return static_cast<std::int64_t>(next() % static_cast<std::uint64_t>(n));
  }

 private:
  std::uint64_t count_ = 0;
};

TEST(Packing, EveryWidthAndLengthEqualsTheSlowTwin) {
  Random random;
  for (const std::size_t count : {1U, 7U, 8U, 13U, 127U, 128U, 129U, 256U, 301U}) {
    for (int width = 0; width <= 23; ++width) {
      const float grid = std::ldexp(1.0F, static_cast<int>(random.below(200)) - 100);
      std::vector<float> sums(count);
      for (float& x : sums) {
        const std::int64_t half = width == 0 ? 0 : std::int64_t{1} << (width - 1);
        x = width == 0 ? 0.0F : static_cast<float>(random.below(2 * half) - half) * grid;
        if (x == 0) x = 0.0F;  // never -0
      }
      ASSERT_EQ(packed(sums, grid), packed_slowly(sums, grid)) << count << " " << width;
      expect_same_bits(sums, grid);
    }
  }
}

TEST(Packing, WhatTheGridDoesNotHoldTravelsRaw) {
  using Limits = std::numeric_limits<float>;
  const float grid = 0x1p-10F;
  const std::vector<float> strange{-0.0F,
                                   Limits::quiet_NaN(),
                                   Limits::infinity(),
                                   -Limits::infinity(),
                                   Limits::denorm_min(),
                                   -Limits::denorm_min(),
                                   Limits::min(),
                                   Limits::max(),
                                   Limits::lowest(),
                                   grid / 2,
                                   1 + Limits::epsilon(),
                                   0x1p22F * grid,
                                   -0x1p22F * grid - grid};
  for (const float x : strange) {
    std::vector<float> sums(200, 3 * grid);
    sums[150] = x;
    const Packed bytes = packed(sums, grid);
    // The first block stays small: 3 takes three bits.
    EXPECT_EQ(bytes.size(), 1U + 128 * 3 / 8 + 1 + 72 * 4) << x;
    expect_same_bits(sums, grid);
  }
}

TEST(Packing, AnyGridAndAnyBitsComeBack) {
  using Limits = std::numeric_limits<float>;
  Random random;
  for (const float grid : {0.0F, -0.0F, 1.0F, -1.0F, 3.0F, 0x1p-149F, 0x1p127F, 0x1p-126F,
                           Limits::infinity(), Limits::quiet_NaN()}) {
    for (int i = 0; i < 50; ++i) {
      std::vector<float> sums(static_cast<std::size_t>(1 + random.below(300)));
      const bool any_bits = random.below(2) == 0;
      for (float& x : sums) {
        const auto bits = static_cast<std::uint32_t>(random.next());
        if (any_bits)
          std::memcpy(&x, &bits, sizeof x);
        else
          x = static_cast<float>(random.below(100) - 50) * grid;
      }
      expect_same_bits(sums, grid);
    }
  }
}

TEST(Packing, DamagedBytesAreRefusedOrGiveNumbers) {
  Random random;
  for (int i = 0; i < 5000; ++i) {
    Packed bytes(static_cast<std::size_t>(random.below(200)));
    for (std::byte& b : bytes) b = static_cast<std::byte>(random.next());
    if (!bytes.empty() && random.below(2) == 0) bytes[0] = static_cast<std::byte>(random.below(26));
    std::vector<float> sums(static_cast<std::size_t>(1 + random.below(150)));
    EXPECT_LE(unpack_sums(bytes, 1.0F, sums.size(), reinterpret_cast<std::byte*>(sums.data())),
              bytes.size());
  }
  std::vector<float> sums(8);
  auto* out = reinterpret_cast<std::byte*>(sums.data());
  EXPECT_EQ(unpack_sums({}, 1.0F, 8, out), 0U);
  EXPECT_EQ(unpack_sums(Packed(40, std::byte{24}), 1.0F, 8, out), 0U) << "no such width";
  EXPECT_EQ(unpack_sums(Packed(8, std::byte{8}), 1.0F, 8, out), 0U) << "a byte is missing";
}

}  // namespace
}  // namespace gracemoe
