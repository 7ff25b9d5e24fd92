// Seeded hashes: the only source of "randomness" in routing, sampling and planning, so that a
// result depends on its inputs alone - the same on every rank, for any batch order and number of
// threads. Not cryptographic.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace gracemoe {

// SplitMix64's finaliser: a bijection of 64-bit words with good avalanche.
constexpr std::uint64_t mix64(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

constexpr std::uint64_t hash_combine(std::uint64_t seed, std::uint64_t value) {
  return mix64(seed + 0x9e3779b97f4a7c15ULL + mix64(value));
}

// Uniform in [0, 1) with 53 bits.
constexpr double unit_interval(std::uint64_t hash) {
  return static_cast<double>(hash >> 11) * 0x1.0p-53;
}

// 64-bit hash of bytes (order and length matter).
std::uint64_t hash_bytes(std::span<const std::byte> bytes, std::uint64_t seed = 0);
// 16 lower-case hexadecimal digits.
std::string hex64(std::uint64_t value);

}  // namespace gracemoe
