#include "exchange/reduce.h"

#include <algorithm>
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
  replies.kinds.resize(static_cast<std::size_t>(ranks));
  return replies;
}

void sum_row(std::span<const Share> shares, std::span<const float> weights, float grid,
             const Replies& replies, float* out) {
  const float rounder = rounder_of(grid);
  std::fill_n(out, replies.hidden, 0.0F);
  for (std::size_t e = 0; e < shares.size(); ++e) {
    switch (replies.kind(shares[e])) {
      case Share::Kind::kRow:
        add_scaled(out, replies.at(shares[e]), weights[e], rounder, replies.hidden,
                   replies.element);
        break;
      case Share::Kind::kPartial:
        add_partial(out, replies.at(shares[e]), replies.hidden, replies.partial_element);
        break;
      case Share::Kind::kCovered:
        break;
    }
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
