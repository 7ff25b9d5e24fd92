// A reply between nodes in fewer bytes, to the same results:
//   header   as of every reply, its rows counted in units (ReplyRule)
//   forms    u8 [rows]: 0 the outputs of its entries as they are, 1 their weighted sum
//   rows     each in its form, contiguous: rows of bf16, or a sum as packing.h packs it
// Sums of three entries and more always come as such; of two where that takes fewer bytes than both
// rows, which float32 additions would have to add without an error anyway (the grid of exchange.h).
#pragma once
#include <cstddef>
#include <span>

#include "exchange/reduce.h"
#include "exchange/wire.h"

namespace gracemoe {

// Overwrites `out` with the reply to these rows of `set`, whose elements are bf16 and reduced as
// fp32; returns how many of its bytes are rows and sums. `shares` of the whole set.
std::size_t encode_packed_reply(const RowSet& set, RowRange rows, std::span<const Share> shares,
                                const Replies& replies, ReplyRule rule, const Stamp& stamp,
                                int sender, Bytes& out);
// The reply of `sender` to these rows of `set`, unpacked into `replies` behind those to the rows
// before, which must be there. Errors as decode_rows(); no memory is taken but that of the units
// expected of the whole set.
void decode_packed_reply(std::span<const std::byte> bytes, const Stamp& stamp, int sender,
                         const RowSet& set, RowRange rows, ReplyRule rule, Replies& replies);
// How many bytes of a reply to so many rows, which has been decoded, are rows and sums.
inline std::size_t packed_reply_payload(std::span<const std::byte> bytes, int rows) {
  return bytes.size() - sizeof(WireHeader) - static_cast<std::size_t>(rows);
}

}  // namespace gracemoe
