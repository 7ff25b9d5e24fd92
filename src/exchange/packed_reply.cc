#include "exchange/packed_reply.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "exchange/packing.h"

namespace gracemoe {
namespace {

enum class Form : std::uint8_t { kRows = 0, kSum = 1 };

std::byte* put_rows(std::span<const Share> shares, const Replies& replies, std::byte* out) {
  for (const Share& share : shares) {
    std::memcpy(out, replies.at(share), replies.row_bytes());
    out += replies.row_bytes();
  }
  return out;
}

// A gateway's entries may have come as a sum of their device's: these stay one.
bool all_rows(std::span<const Share> shares, const Replies& replies) {
  for (const Share& share : shares)
    if (replies.kind(share) != Share::Kind::kRow) return false;
  return true;
}

}  // namespace

std::size_t encode_packed_reply(const RowSet& set, std::span<const Share> shares,
                                const Replies& replies, ReplyRule rule, const Stamp& stamp,
                                int sender, Bytes& out) {
  const auto rows = static_cast<std::size_t>(set.rows());
  const auto hidden = static_cast<std::size_t>(replies.hidden);
  const int units = reply_units(set, rule);
  const std::size_t most = packed_sums_bound(hidden);
  begin_reply(stamp, sender, units, 0, out);
  out.resize(sizeof(WireHeader) + rows * (1 + most));
  std::byte* form = out.data() + sizeof(WireHeader);
  std::byte* const begin = form + rows;
  std::byte* at = begin;
  std::vector<float> sum(hidden);
  for (int r = 0; r < set.rows(); ++r, ++form) {
    const auto its =
        shares.subspan(static_cast<std::size_t>(set.first[static_cast<std::size_t>(r)]),
                       static_cast<std::size_t>(set.count(r)));
    *form = static_cast<std::byte>(Form::kRows);
    if (its.size() == 1) {
      at = put_rows(its, replies, at);
      continue;
    }
    sum_row(set, r, shares, replies, sum.data());
    std::byte* end = pack_sums(sum, set.grid[static_cast<std::size_t>(r)], at);
    const std::size_t rows_bytes = its.size() * replies.row_bytes();
    if (!rule.partial(set.count(r)) && static_cast<std::size_t>(end - at) >= rows_bytes &&
        all_rows(its, replies)) {
      at = put_rows(its, replies, at);
      continue;
    }
    *form = static_cast<std::byte>(Form::kSum);
    at = end;
  }
  out.resize(static_cast<std::size_t>(at - out.data()));
  return static_cast<std::size_t>(at - begin);
}

void decode_packed_reply(std::span<const std::byte> bytes, const Stamp& stamp, int sender,
                         const RowSet& set, ReplyRule rule, Replies& replies) {
  const auto rank = static_cast<std::size_t>(sender);
  const auto rows = static_cast<std::size_t>(set.rows());
  const int units = reply_units(set, rule);
  std::span<const std::byte> left = open_reply(bytes, stamp, sender, units);
  if (left.size() < rows)
    fail_message(stamp, sender, "bytes of a packed reply", std::to_string(left.size()),
                 "at least " + std::to_string(rows));
  const std::byte* form = left.data();
  left = left.subspan(rows);
  Bytes& message = replies.messages[rank];
  std::vector<Share::Kind>& kinds = replies.kinds[rank];
  message.resize(static_cast<std::size_t>(units) * replies.row_bytes());
  kinds.assign(static_cast<std::size_t>(units), Share::Kind::kRow);
  std::size_t unit = 0;
  for (int r = 0; r < set.rows(); ++r, ++form) {
    const std::size_t its = static_cast<std::size_t>(rule.units(set.count(r)));
    std::byte* out = message.data() + unit * replies.row_bytes();
    std::size_t read = 0;
    if (*form == static_cast<std::byte>(Form::kSum) && set.count(r) > 1) {
      read = unpack_sums(left, set.grid[static_cast<std::size_t>(r)],
                         static_cast<std::size_t>(replies.hidden), out);
      std::fill_n(kinds.begin() + static_cast<std::ptrdiff_t>(unit), its, Share::Kind::kCovered);
      kinds[unit] = Share::Kind::kPartial;
    } else if (*form == static_cast<std::byte>(Form::kRows) && !rule.partial(set.count(r)) &&
               left.size() >= its * replies.row_bytes()) {
      read = its * replies.row_bytes();
      std::memcpy(out, left.data(), read);
    }
    if (read == 0)
      fail_message(stamp, sender, "row " + std::to_string(r) + " of a packed reply",
                   "form " + std::to_string(std::to_integer<int>(*form)) + " with " +
                       std::to_string(left.size()) + " bytes left",
                   "the outputs of its entries or their sum");
    left = left.subspan(read);
    unit += its;
  }
  if (!left.empty())
    fail_message(stamp, sender, "bytes behind a packed reply", std::to_string(left.size()), "0");
  replies.from[rank] = message.data();
}

}  // namespace gracemoe
