// Weighted sums of what comes back, in the one order that exchange.h states.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "exchange/exchange.h"
#include "exchange/row_set.h"

namespace gracemoe {

// The results at hand.
struct Replies {
  Element element = Element::kBf16;
  Element partial_element = Element::kFloat32;  // of partial sums, as the ReplyRule says
  int hidden = 0;
  int self = 0;
  std::vector<Bytes> messages;         // [ranks] their memory; it may be larger
  std::vector<const std::byte*> from;  // [ranks] the reply's units, any alignment; null where none
  std::vector<int> units_here;         // [ranks] how many of them have come, the first ones
  // [ranks] where each unit lies, if they lie apart
  std::vector<std::vector<const std::byte*>> apart;
  // [ranks] what each unit is, where the reply itself says so; empty: what the shares say
  std::vector<std::vector<Share::Kind>> kinds;
  const std::byte* outputs = nullptr;  // [entries, hidden] computed here, not owned
  // [entries] where an entry's output is in `outputs`, not owned
  std::span<const std::int32_t> place{};

  // Whether what the share names is here.
  bool here(const Share& share) const {
    return share.rank == self || share.unit < units_here[static_cast<std::size_t>(share.rank)];
  }

  // Of no rank.
  static Replies none(const ExchangeOptions& options, ReplyRule rule, int ranks, int self);

  std::size_t row_bytes() const { return static_cast<std::size_t>(hidden) * element_size(element); }
  Share::Kind kind(const Share& share) const {
    if (share.rank == self || share.kind != Share::Kind::kRow) return share.kind;
    const auto& its = kinds[static_cast<std::size_t>(share.rank)];
    return its.empty() ? share.kind : its[static_cast<std::size_t>(share.unit)];
  }
  const std::byte* at(const Share& share) const {
    const auto unit = static_cast<std::size_t>(share.unit);
    if (share.rank == self) return outputs + static_cast<std::size_t>(place[unit]) * row_bytes();
    const auto rank = static_cast<std::size_t>(share.rank);
    return apart[rank].empty() ? from[rank] + unit * row_bytes() : apart[rank][unit];
  }
};

// out [hidden] = the sum over the entries of one row, each weighted output rounded to the row's
// grid; `shares` and `weights` of these entries.
void sum_row(std::span<const Share> shares, std::span<const float> weights, float grid,
             const Replies& replies, float* out);

// The same of all entries of row r of `set`, whose shares are given.
void sum_row(const RowSet& set, int r, std::span<const Share> shares, const Replies& replies,
             float* out);

// out [rows, hidden] = the sum of every row of `set`.
void sum_rows(const RowSet& set, std::span<const Share> shares, const Replies& replies,
              std::span<float> out);

// Writes the reply to these rows of `set`: reply_units(set, rule, rows) units. `shares` of all.
void write_reply(const RowSet& set, RowRange rows, std::span<const Share> shares,
                 const Replies& replies, ReplyRule rule, std::byte* out);

}  // namespace gracemoe
