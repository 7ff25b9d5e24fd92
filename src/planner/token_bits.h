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

// Beside all tokens, parts of them are told apart: what is balanced on every part of a text stays
// balanced on new text.
class TokenBits {
 public:
  TokenBits(int experts, std::int64_t tokens, int parts = 1);

  // Each (token, expert) at most once.
  void select(std::int64_t token, int expert, int part = 0);
  // The rows of some experts, in that order; shares stay those of all experts' pairs.
  TokenBits subset(std::span<const int> experts) const;

  int experts() const { return static_cast<int>(load_.size()); }
  std::int64_t tokens() const { return tokens_; }
  int words() const { return words_; }  // of a row; a multiple of 8, unused bits are 0
  BitRow row(int expert) const {
    return bits_.data() + static_cast<std::size_t>(expert) * static_cast<std::size_t>(words_);
  }
  // [experts] tokens that selected e.
  std::span<const double> load() const { return load_; }
  // 0: all tokens; 1 ..: a part of them. One with a single part has no other view than 0.
  int views() const { return static_cast<int>(view_total_.size()); }
  // The expert's part of the view's (token, expert) pairs; 0 where the view has none.
  double share(int view, int expert) const {
    const double total = view_total_[static_cast<std::size_t>(view)];
    return total > 0 ? view_load_[view_at(view, expert)] / total : 0;
  }

 private:
  std::size_t view_at(int view, int expert) const {
    return static_cast<std::size_t>(view) * load_.size() + static_cast<std::size_t>(expert);
  }

  std::int64_t tokens_;
  int words_;
  std::vector<std::uint64_t> bits_;  // [experts, words]
  std::vector<double> load_;
  std::vector<double> view_load_, view_total_;  // [views, experts], [views]
};

// Of several views' max / mean, what to expect on new text of the size of the whole: the parts'
// differ from the whole's by sampling, new text by sqrt(2 / (parts - 1)) times as much.
double expected_on_new_text(std::span<const double> ratio_of_view);

constexpr int kTextParts = 8;

// The layer's tokens: all, or at most `most` of them, evenly spaced, so that every sequence has its
// share. Parts are stretches of the trace: its topics differ more from one to the next than every
// eighth sequence from the others does (gpt-oss-20b, planned on those: 1.09 on new text, not 1.06).
TokenBits layer_bits(const RoutingTrace& trace, int layer, std::int64_t most);

// Set bits of a row, of a & b, and of a & b & ~c. `words` is a multiple of 8.
std::int64_t count_bits(BitRow a, int words);
std::int64_t count_and(BitRow a, BitRow b, int words);
std::int64_t count_and_not(BitRow a, BitRow b, BitRow c, int words);

}  // namespace gracemoe
