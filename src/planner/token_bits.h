// One layer's tokens as bit sets, one an expert: the counts that a search asks for are
// intersections of such sets, 64 tokens an instruction (512 where the processor has vector
// popcount).
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "trace/routing_trace.h"

namespace gracemoe {

using BitRow = const std::uint64_t*;

class TokenBits {
 public:
  TokenBits(int experts, std::int64_t tokens);

  // The rows of some experts, in that order.
  TokenBits subset(std::span<const int> experts) const;

  void select(std::int64_t token, int expert);  // each (token, expert) at most once

  int experts() const { return static_cast<int>(load_.size()); }
  std::int64_t tokens() const { return tokens_; }
  int words() const { return words_; }  // of a row; a multiple of 8, unused bits are 0
  BitRow row(int expert) const {
    return bits_.data() + static_cast<std::size_t>(expert) * static_cast<std::size_t>(words_);
  }
  // [experts] tokens that selected e.
  std::span<const double> load() const { return load_; }

 private:
  std::int64_t tokens_;
  int words_;
  std::vector<std::uint64_t> bits_;  // [experts, words]
  std::vector<double> load_;
};

// The layer's tokens: all, or at most `most` of them, evenly spaced, so that every sequence has its
// part.
TokenBits layer_bits(const RoutingTrace& trace, int layer, std::int64_t most);

// Set bits of a row, of a & b, and of a & b & ~c. `words` is a multiple of 8.
std::int64_t count_bits(BitRow a, int words);
std::int64_t count_and(BitRow a, BitRow b, int words);
std::int64_t count_and_not(BitRow a, BitRow b, BitRow c, int words);

}  // namespace gracemoe
