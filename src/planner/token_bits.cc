#include "planner/token_bits.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "base/error.h"

// The loops below are compiled for several instruction sets and chosen when the program loads. 550
// words (35,000 tokens) take 0.2 us with scalar popcount, 0.07 us with AVX-512's. Sanitizers cannot
// instrument that choice.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && \
    !defined(__clang__)
#define GM_POPCOUNT_CLONES \
  __attribute__((target_clones("default", "popcnt", "arch=icelake-server")))
#else
#define GM_POPCOUNT_CLONES
#endif

namespace gracemoe {

namespace {
constexpr std::int64_t kWordBits = 64;
constexpr std::int64_t kRowStep = 8;
}  // namespace

TokenBits::TokenBits(int experts, std::int64_t tokens, int parts)
    : tokens_(tokens),
      words_(static_cast<int>((tokens + kWordBits * kRowStep - 1) / (kWordBits * kRowStep) *
                              kRowStep)),
      bits_(static_cast<std::size_t>(experts) * static_cast<std::size_t>(words_)),
      load_(static_cast<std::size_t>(experts)),
      view_total_(parts > 1 ? static_cast<std::size_t>(parts) + 1 : 1) {
  view_load_.resize(view_total_.size() * load_.size());
}

void TokenBits::select(std::int64_t token, int expert, int part) {
  GM_CHECK(token >= 0 && token < tokens_ && expert >= 0 && expert < experts() && part >= 0 &&
               (part == 0 || part + 1 < views()),
           "token bits: out of range");
  const auto word = static_cast<std::size_t>(expert) * static_cast<std::size_t>(words_) +
                    static_cast<std::size_t>(token / kWordBits);
  bits_[word] |= std::uint64_t{1} << (token % kWordBits);
  ++load_[static_cast<std::size_t>(expert)];
  for (const int view : {0, part + 1}) {
    if (view >= views()) continue;
    ++view_load_[view_at(view, expert)];
    ++view_total_[static_cast<std::size_t>(view)];
  }
}

TokenBits TokenBits::subset(std::span<const int> experts) const {
  TokenBits part(static_cast<int>(experts.size()), tokens_, views() > 1 ? views() - 1 : 1);
  part.view_total_ = view_total_;
  const auto words = static_cast<std::size_t>(words_);
  for (std::size_t i = 0; i < experts.size(); ++i) {
    const int e = experts[i];
    std::copy_n(row(e), words, part.bits_.begin() + static_cast<std::ptrdiff_t>(i * words));
    part.load_[i] = load_[static_cast<std::size_t>(e)];
    for (int view = 0; view < views(); ++view)
      part.view_load_[part.view_at(view, static_cast<int>(i))] = view_load_[view_at(view, e)];
  }
  return part;
}

double expected_on_new_text(std::span<const double> ratio_of_view) {
  const double whole = ratio_of_view.front();
  if (ratio_of_view.size() < 3) return whole;
  double sum = 0, parts = 0;
  for (const double ratio : ratio_of_view.subspan(1))
    if (ratio > 0) sum += ratio, ++parts;  // 0: an empty part
  if (parts < 2) return whole;
  return whole + std::sqrt(2 / (parts - 1)) * std::max(0.0, sum / parts - whole);
}

TokenBits layer_bits(const RoutingTrace& trace, int layer, std::int64_t most) {
  const std::int64_t count = std::min(trace.tokens(), most);
  TokenBits bits(trace.num_experts, count, kTextParts);
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t token = i * trace.tokens() / count;
    for (const std::uint16_t expert : trace.chosen(token, layer))
      bits.select(i, expert, static_cast<int>(i * kTextParts / count));
  }
  return bits;
}

GM_POPCOUNT_CLONES
std::int64_t count_bits(BitRow a, int words) {
  std::int64_t sum = 0;
  for (int i = 0; i < words; ++i) sum += std::popcount(a[i]);
  return sum;
}

GM_POPCOUNT_CLONES
std::int64_t count_and(BitRow a, BitRow b, int words) {
  std::int64_t sum = 0;
  for (int i = 0; i < words; ++i) sum += std::popcount(a[i] & b[i]);
  return sum;
}

GM_POPCOUNT_CLONES
std::int64_t count_and_not(BitRow a, BitRow b, BitRow c, int words) {
  std::int64_t sum = 0;
  for (int i = 0; i < words; ++i) sum += std::popcount(a[i] & b[i] & ~c[i]);
  return sum;
}

}  // namespace gracemoe
