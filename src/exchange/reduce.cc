#include "exchange/reduce.h"

#include <algorithm>
#include <cstring>

#include "base/bf16.h"
#include "base/error.h"

namespace gracemoe {
namespace {

template <typename T>
T load(const std::byte* at) {
  T value;
  std::memcpy(&value, at, sizeof(T));
  return value;
}

// Product and sum stay two roundings (the build forbids contraction): the numerics of exchange.h.
void add_scaled(float* __restrict acc, const std::byte* __restrict row, float weight, int n,
                Element element) {
  if (element == Element::kBf16) {
    for (int i = 0; i < n; ++i) {
      acc[i] += weight * to_float(bf16{load<std::uint16_t>(row + 2 * std::ptrdiff_t{i})});
    }
  } else {
    for (int i = 0; i < n; ++i) acc[i] += weight * load<float>(row + 4 * std::ptrdiff_t{i});
  }
}

void add_partial(float* __restrict acc, const std::byte* __restrict partial, int n) {
  for (int i = 0; i < n; ++i) acc[i] += load<float>(partial + 4 * std::ptrdiff_t{i});
}

}  // namespace

void sum_row(std::span<const Share> shares, std::span<const float> weights, const Replies& replies,
             float* out) {
  std::fill_n(out, replies.hidden, 0.0F);
  for (std::size_t e = 0; e < shares.size(); ++e) {
    switch (shares[e].kind) {
      case Share::Kind::kRow:
        add_scaled(out, replies.at(shares[e]), weights[e], replies.hidden, replies.element);
        break;
      case Share::Kind::kPartial:
        add_partial(out, replies.at(shares[e]), replies.hidden);
        break;
      case Share::Kind::kCovered:
        break;
    }
  }
}

void sum_rows(const RowSet& set, std::span<const Share> shares, const Replies& replies,
              std::span<float> out) {
  const auto hidden = static_cast<std::size_t>(replies.hidden);
  GM_CHECK(out.size() == static_cast<std::size_t>(set.rows()) * hidden,
           "combine: out is not [tokens, hidden]");
  const std::span<const float> weights = set.weight;
  for (int r = 0; r < set.rows(); ++r) {
    const auto first = static_cast<std::size_t>(set.first[static_cast<std::size_t>(r)]);
    const auto count = static_cast<std::size_t>(set.count(r));
    sum_row(shares.subspan(first, count), weights.subspan(first, count), replies,
            out.data() + static_cast<std::size_t>(r) * hidden);
  }
}

void write_reply(const RowSet& set, std::span<const Share> shares, const Replies& replies,
                 ReplyRule rule, std::byte* out) {
  const std::span<const float> weights = set.weight;
  std::vector<float> partial(static_cast<std::size_t>(replies.hidden));
  for (int r = 0; r < set.rows(); ++r) {
    const auto first = static_cast<std::size_t>(set.first[static_cast<std::size_t>(r)]);
    const auto count = static_cast<std::size_t>(set.count(r));
    if (rule.partial(set.count(r))) {
      sum_row(shares.subspan(first, count), weights.subspan(first, count), replies, partial.data());
      std::memcpy(out, partial.data(), partial.size() * sizeof(float));
      out += partial.size() * sizeof(float);
      continue;
    }
    for (const Share& share : shares.subspan(first, count)) {
      std::memcpy(out, replies.at(share), replies.row_bytes());
      out += replies.row_bytes();
    }
  }
}

}  // namespace gracemoe
