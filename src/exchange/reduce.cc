#include "exchange/reduce.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/bf16.h"
#include "base/error.h"
#include "exchange/vector_clones.h"

namespace gracemoe {
namespace {

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// Adding and taking away 1.5 * 2^23 grids leaves a multiple of the grid: to nearest, ties to even,
// for terms up to 2^22 grids; 0 where the row has no grid, which changes nothing.
float rounder_of(float grid) {
  return 0x1.8p23F * grid;
}

// Product, rounding and sum stay apart (the build forbids contraction): the numerics of exchange.h.
GM_VECTOR_CLONES
void add_scaled(float* __restrict acc, const std::byte* __restrict row, float weight, float rounder,
                int n, Element element) {
  if (element == Element::kBf16) {
    for (int i = 0; i < n; ++i) {
      const float y = to_float(bf16{load<std::uint16_t>(row + 2 * std::ptrdiff_t{i})});
      acc[i] += (weight * y + rounder) - rounder;
    }
  } else {
    for (int i = 0; i < n; ++i) {
      acc[i] += (weight * load<float>(row + 4 * std::ptrdiff_t{i}) + rounder) - rounder;
    }
  }
}

GM_VECTOR_CLONES
void add_partial(float* __restrict acc, const std::byte* __restrict partial, int n,
                 Element element) {
  if (element == Element::kBf16) {
    for (int i = 0; i < n; ++i)
      acc[i] += to_float(bf16{load<std::uint16_t>(partial + 2 * std::ptrdiff_t{i})});
    return;
  }
  for (int i = 0; i < n; ++i) acc[i] += load<float>(partial + 4 * std::ptrdiff_t{i});
}

// What one entry adds: an output row with its weight, or a partial sum (weight 0).
struct Term {
  const std::byte* at;
  float weight;
  bool partial;
};
constexpr int kMostTerms = 255;  // top_k
constexpr int kStrip = 32;

using Lanes = float __attribute__((vector_size(32)));
using Words = std::uint32_t __attribute__((vector_size(32)));
using Halves = std::uint16_t __attribute__((vector_size(16)));

// add_scaled() and add_partial() of bf16 rows and float32 sums, term after term, with the sums of a
// strip of columns in registers: as fast as the rows come from memory, 0.3 ns a number, where
// adding term by term took 0.5. Returns how many columns it did.
GM_VECTOR_CLONES
int sum_strips(const Term* terms, int count, float rounder, float* __restrict out, int n) {
  int i = 0;
  for (; i + kStrip <= n; i += kStrip) {
    Lanes acc[4] = {};
    for (int t = 0; t < count; ++t) {
      if (terms[t].partial) {
        Lanes x[4];
        std::memcpy(x, terms[t].at + 4 * std::ptrdiff_t{i}, sizeof x);
        for (int v = 0; v < 4; ++v) acc[v] += x[v];
        continue;
      }
      Halves x[4];
      std::memcpy(x, terms[t].at + 2 * std::ptrdiff_t{i}, sizeof x);
      for (int v = 0; v < 4; ++v) {
        const auto y = reinterpret_cast<Lanes>(__builtin_convertvector(x[v], Words) << 16);
        acc[v] += (terms[t].weight * y + rounder) - rounder;
      }
    }
    std::memcpy(out + i, acc, sizeof acc);
  }
  return i;
}

// Returns the byte behind it.
std::byte* put_partial(std::span<const float> partial, Element element, std::byte* out) {
  if (element == Element::kBf16) {
    for (const float x : partial) {
      const bf16 rounded = to_bf16(x);
      std::memcpy(out, &rounded, sizeof(rounded));
      out += sizeof(rounded);
    }
    return out;
  }
  std::memcpy(out, partial.data(), partial.size_bytes());
  return out + partial.size_bytes();
}

}  // namespace

Replies Replies::none(const ExchangeOptions& options, ReplyRule rule, int ranks, int self) {
  Replies replies;
  replies.element = options.element;
  replies.partial_element = rule.partial_element;
  replies.hidden = options.hidden;
  replies.self = self;
  replies.messages.resize(static_cast<std::size_t>(ranks));
  replies.from.resize(static_cast<std::size_t>(ranks));
  replies.apart.resize(static_cast<std::size_t>(ranks));
  replies.kinds.resize(static_cast<std::size_t>(ranks));
  return replies;
}

void sum_row(std::span<const Share> shares, std::span<const float> weights, float grid,
             const Replies& replies, float* out) {
  GM_CHECK(shares.size() <= kMostTerms, "more entries of a row than top_k may be");
  const float rounder = rounder_of(grid);
  std::array<Term, kMostTerms> terms;
  int count = 0;
  for (std::size_t e = 0; e < shares.size(); ++e) {
    const Share::Kind kind = replies.kind(shares[e]);
    if (kind == Share::Kind::kCovered) continue;
    const bool partial = kind == Share::Kind::kPartial;
    terms[static_cast<std::size_t>(count++)] = {replies.at(shares[e]), partial ? 0.0F : weights[e],
                                                partial};
  }
  const bool usual =
      replies.element == Element::kBf16 && replies.partial_element == Element::kFloat32;
  const int done = usual ? sum_strips(terms.data(), count, rounder, out, replies.hidden) : 0;
  const int left = replies.hidden - done;
  std::fill_n(out + done, left, 0.0F);
  for (const Term& term : std::span(terms).first(static_cast<std::size_t>(count))) {
    const Element element = term.partial ? replies.partial_element : replies.element;
    const std::byte* at = term.at + static_cast<std::size_t>(done) * element_size(element);
    if (term.partial)
      add_partial(out + done, at, left, element);
    else
      add_scaled(out + done, at, term.weight, rounder, left, element);
  }
}

void sum_row(const RowSet& set, int r, std::span<const Share> shares, const Replies& replies,
             float* out) {
  const auto first = static_cast<std::size_t>(set.first[static_cast<std::size_t>(r)]);
  const auto count = static_cast<std::size_t>(set.count(r));
  sum_row(shares.subspan(first, count), std::span(set.weight).subspan(first, count),
          set.grid[static_cast<std::size_t>(r)], replies, out);
}

void sum_rows(const RowSet& set, std::span<const Share> shares, const Replies& replies,
              std::span<float> out) {
  const auto hidden = static_cast<std::size_t>(replies.hidden);
  GM_CHECK(out.size() == static_cast<std::size_t>(set.rows()) * hidden,
           "combine: out is not [tokens, hidden]");
  for (int r = 0; r < set.rows(); ++r)
    sum_row(set, r, shares, replies, out.data() + static_cast<std::size_t>(r) * hidden);
}

void write_reply(const RowSet& set, std::span<const Share> shares, const Replies& replies,
                 ReplyRule rule, std::byte* out) {
  std::vector<float> partial(static_cast<std::size_t>(replies.hidden));
  for (int r = 0; r < set.rows(); ++r) {
    const auto first = static_cast<std::size_t>(set.first[static_cast<std::size_t>(r)]);
    const auto count = static_cast<std::size_t>(set.count(r));
    if (rule.partial(set.count(r))) {
      sum_row(set, r, shares, replies, partial.data());
      out = put_partial(partial, rule.partial_element, out);
      continue;
    }
    for (const Share& share : shares.subspan(first, count)) {
      std::memcpy(out, replies.at(share), replies.row_bytes());
      out += replies.row_bytes();
    }
  }
}

}  // namespace gracemoe
