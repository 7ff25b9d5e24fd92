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

// Beside what the tokens select, texts like theirs are drawn: what is balanced on many of those is
// expected to be balanced on new text.
class TokenBits {
 public:
  TokenBits(int experts, std::int64_t tokens);

  // Each (token, expert) at most once.
  void select(std::int64_t token, int expert);
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
  // All (token, expert) pairs; of a subset, those of all experts.
  double pairs() const { return pairs_; }
  // The expert's part of them; 0 where there are none.
  double share(int expert) const {
    return pairs_ > 0 ? load_[static_cast<std::size_t>(expert)] / pairs_ : 0;
  }

  // Draws kDraws texts of the same size that could have come instead, and could come next: each
  // part of this one (a sequence, say) weighs more or less and has its home at random, and so have
  // the parts of the next. part_load: [parts][experts], summing to load(); home_share: [homes] of
  // all tokens. To be called after the last select(). Needs two parts; else nothing is drawn.
  void draw_texts(const std::vector<std::vector<double>>& part_load,
                  std::span<const double> home_share);
  // Texts that loads are known of: 1, this one, or 1 + kDraws, this one first.
  int views() const { return views_; }
  int homes() const { return homes_; }
  // [views] tokens that select the expert, if all had their home there. With one home, any.
  std::span<const double> view_load(int home, int expert) const {
    if (views_ == 1) return {load_.data() + expert, 1};
    const auto row = static_cast<std::size_t>(homes_ > 1 ? home : 0) * load_.size() +
                     static_cast<std::size_t>(expert);
    return {view_load_.data() + row * static_cast<std::size_t>(views_),
            static_cast<std::size_t>(views_)};
  }

 private:
  std::int64_t tokens_;
  int words_;
  std::vector<std::uint64_t> bits_;  // [experts, words]
  std::vector<double> load_;
  double pairs_ = 0;
  int views_ = 1, homes_ = 1;
  std::vector<double> view_load_;  // [homes, experts, views]; empty where there is one view
};

// Of a ratio on every view, what to expect on new text: the mean over drawn texts, or that of the
// only one.
double expected_on_new_text(std::span<const double> ratio_of_view);

// Each comes with its mirror image, so that their mean is the text itself; and both with their
// homes' names changed, so that no plan suits by chance the homes that were drawn.
constexpr int kDraws = 96;

// The layer's tokens: all, or at most `most` of them, evenly spaced, so that every sequence has its
// share. Texts are drawn from its sequences (runs of them, if they are many; eight stretches, if
// they are few).
TokenBits layer_bits(const RoutingTrace& trace, int layer, std::int64_t most,
                     std::span<const double> home_share = {});

// Set bits of a row, of a & b, and of a & b & ~c. `words` is a multiple of 8.
std::int64_t count_bits(BitRow a, int words);
std::int64_t count_and(BitRow a, BitRow b, int words);
std::int64_t count_and_not(BitRow a, BitRow b, BitRow c, int words);

}  // namespace gracemoe
