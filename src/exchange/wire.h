// What a message looks like on the wire. Little-endian (checked at compile time).
//
//   header   32 bytes, below
//   rows:    weights  f32 [weights]  of rows whose reply may be a partial sum: the row's grid and
//                                    the weight of each of its entries
//            experts  u16 [entries]
//            devices  u8  [entries]  number inside the receiver's node; only towards a gateway of a
//                                    node of several devices
//            counts   u8  [rows]     entries of each row
//            zero bytes up to a multiple of 4, then the rows' elements, contiguous; or, where
//            sender and receiver share memory, u64 [rows]: where in the sender's each row lies
//   reply:   `rows` units (ReplyRule) of one row's bytes each, contiguous; or u64 [units]: where in
//            the sender's memory each lies; or packed (packed_reply.h). Of all rows, or of a part
//            of them (clerk.h), whose first row stands in the place of `entries`
// Between devices of a node that even out what they send (evened_exchange.cc), a reply's header and
//   counts:  u32, rows for other nodes
//   tokens:  of `rows` of them f32 grid; f32 weight [k]; u16 expert [k]; u16 device [k]; elements
//   sums:    f32 [hidden] of each
// A row needs no name: replies come in the order of the rows sent. Entries are in top-k order, so
// that slots need not travel either. At k = 8 all of a row's entries are 61 bytes: 1.5% of a bf16
// row of 2048.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "exchange/row_set.h"
#include "exchange/transport.h"

namespace gracemoe {

struct WireHeader {
  std::uint32_t magic;   // kWireMagic
  std::uint32_t config;  // hash of options and topology: equal on all ranks
  std::uint32_t step;    // number of the dispatch since the exchange was made
  std::uint16_t layer;
  std::uint16_t phase;  // tag
  std::uint16_t sender;
  std::uint16_t origin;   // whose rows these are, or go back to: the sender's, or a client's of it
  std::uint32_t rows;     // rows, or units of a reply's part
  std::uint32_t entries;  // or first row of a reply's part
  std::uint32_t weights;
};
static_assert(sizeof(WireHeader) == 32);
// Messages of lane n have the tags of lane 0 and n times so many.
constexpr int kTagsOfALane = 20;
constexpr std::uint32_t kWireMagic = 0x31584d47;  // "GMX1"

// A message on its way, with its bytes.
struct Sent {
  Outbound out;
  Bytes bytes;
};

// What both ends must agree on.
struct Stamp {
  std::uint32_t config = 0;
  std::uint32_t step = 0;
  Phase phase;
  int origin = -1;    // -1: the sender
  int first_row = 0;  // of a reply's part
};

struct RowFormat {
  std::size_t row_bytes = 0;
  ReplyRule rule;
  int experts = 0;           // ids below
  int first_device = 0;      // entries' devices are first_device .. first_device + devices - 1
  int devices = 1;           // at most 256
  bool packed_sums = false;  // the reply will be packed: two entries' too may come as a sum
  bool packed_rows = false;  // the rows may be packed (packed_rows.h)
  // The sender's memory, where the receiver shares it; empty: rows travel.
  std::span<const std::byte> shared{};

  bool weighted(int entries) const { return rule.partial(entries) || (packed_sums && entries > 1); }
};

// Where the rows of a message of rows begin.
std::uint64_t rows_begin(const WireHeader& header, const RowFormat& format);
// Whose rows a message is about. Error (kPeer) if it is too short to say.
int origin_of(std::span<const std::byte> bytes, const Stamp& stamp, int sender);

// Overwrites `out` with the message; returns how many of its bytes are rows.
std::size_t encode_rows(const RowSet& set, const Stamp& stamp, int sender, const RowFormat& format,
                        Bytes& out);
// The rows of a message from `sender`; `set` points into `bytes`. Error (kPeer) naming sender and
// phase if anything in it cannot be right; no memory is taken that the message does not cover.
void decode_rows(std::span<const std::byte> bytes, const Stamp& stamp, int sender,
                 const RowFormat& format, RowSet& set);

// Makes `out` a reply; returns where its units are to be written.
std::byte* begin_reply(const Stamp& stamp, int sender, int units, std::size_t row_bytes,
                       Bytes& out);
// The units of a reply. Errors as above, also if there are other than `units` of them.
const std::byte* decode_reply(std::span<const std::byte> bytes, const Stamp& stamp, int sender,
                              int units, std::size_t row_bytes);

// What stands behind the header of a reply of `units` units. Errors as above.
std::span<const std::byte> open_reply(std::span<const std::byte> bytes, const Stamp& stamp,
                                      int sender, int units);
// Error (kPeer): the message from `sender` cannot be right.
[[noreturn]] void fail_message(const Stamp& stamp, int sender, const std::string& what,
                               const std::string& got, const std::string& wanted);

// A reply whose units lie in the sender's memory `shared`, each where `at` says.
void place_reply(const Stamp& stamp, int sender, std::span<const std::byte> shared,
                 std::span<const std::byte* const> at, Bytes& out);
// Where they lie. Errors as above.
void find_reply(std::span<const std::byte> bytes, const Stamp& stamp, int sender, int units,
                std::size_t row_bytes, std::span<const std::byte> shared,
                std::vector<const std::byte*>& at);

}  // namespace gracemoe
