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

// For the units of the whole reply. Memory is kept from step to step: what lies in it is
// overwritten.
void make_room(const RowSet& set, ReplyRule rule, std::size_t row_bytes, Bytes& message,
               std::vector<Share::Kind>& kinds) {
  const auto units = static_cast<std::size_t>(reply_units(set, rule, RowRange::all(set)));
  if (message.size() < units * row_bytes) message.resize(units * row_bytes);
  kinds.assign(units, Share::Kind::kRow);
}

// A gateway's entries may have come as a sum of their device's: these stay one.
bool all_rows(std::span<const Share> shares, const Replies& replies) {
  for (const Share& share : shares)
    if (replies.kind(share) != Share::Kind::kRow) return false;
  return true;
}

}  // namespace

std::size_t encode_packed_reply(const RowSet& set, RowRange rows, std::span<const Share> shares,
                                const Replies& replies, ReplyRule rule, const Stamp& stamp,
                                int sender, Bytes& out) {
  const auto count = static_cast<std::size_t>(rows.count());
  const auto hidden = static_cast<std::size_t>(replies.hidden);
  const int units = reply_units(set, rule, rows);
  const std::size_t most = packed_sums_bound(hidden);
  begin_reply(stamp, sender, units, 0, out);
  out.resize(sizeof(WireHeader) + count * (1 + most));
  std::byte* form = out.data() + sizeof(WireHeader);
  std::byte* const begin = form + count;
  std::byte* at = begin;
  std::vector<float> sum(hidden);
  for (int r = rows.first; r < rows.last; ++r, ++form) {
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
                         const RowSet& set, RowRange rows, ReplyRule rule, Replies& replies) {
  const auto rank = static_cast<std::size_t>(sender);
  const auto count = static_cast<std::size_t>(rows.count());
  std::span<const std::byte> left = open_reply(bytes, stamp, sender, reply_units(set, rule, rows));
  if (left.size() < count)
    fail_message(stamp, sender, "bytes of a packed reply", std::to_string(left.size()),
                 "at least " + std::to_string(count));
  const std::byte* form = left.data();
  left = left.subspan(count);
  Bytes& message = replies.messages[rank];
  std::vector<Share::Kind>& kinds = replies.kinds[rank];
  if (rows.first == 0) {
    make_room(set, rule, replies.row_bytes(), message, kinds);
    replies.units_here[rank] = 0;
  }
  auto unit = static_cast<std::size_t>(replies.units_here[rank]);
  for (int r = rows.first; r < rows.last; ++r, ++form) {
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
  replies.units_here[rank] = static_cast<int>(unit);
}

}  // namespace gracemoe
