// The way back of a Flight: replies made and taken, in parts between nodes; home's sums.
#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "base/error.h"
#include "exchange/flight.h"
#include "exchange/packed_reply.h"

namespace gracemoe {

void Flight::send_reply(int to, Kind kind, const RowSet& set, std::span<const Share> shares,
                        const Replies& replies, int origin) {
  RowRange rows;
  do {
    rows = next_part(set, rows.last, to);
    send_reply_part(to, kind, set, rows, shares, replies, origin);
    if (rows.last < set.rows()) transport_.poll();
  } while (rows.last < set.rows());
}

RowRange Flight::next_part(const RowSet& set, int first, int rank) const {
  return {first, first + std::min(set.rows() - first, clerk_.rows_of_a_reply_part(rank))};
}

void Flight::send_reply_part(int to, Kind kind, const RowSet& set, RowRange rows,
                             std::span<const Share> shares, const Replies& replies, int origin) {
  auto message = std::make_unique<Sent>();
  const Stamp stamp = clerk_.stamp(phase(kind), origin, rows.first);
  std::size_t payload = 0;
  std::size_t beside = 0;  // payload that is not in the message
  if (clerk_.packs_replies(to)) {
    payload = encode_packed_reply(set, rows, shares, replies, clerk_.rule(), stamp, clerk_.self(),
                                  message->bytes);
  } else if (shared_with(to, clerk_.self()).empty()) {
    const int units = reply_units(set, clerk_.rule(), rows);
    payload = static_cast<std::size_t>(units) * clerk_.row_bytes();
    std::byte* at = begin_reply(stamp, clerk_.self(), units, clerk_.row_bytes(), message->bytes);
    write_reply(set, rows, shares, replies, clerk_.rule(), at);
  } else {
    payload = beside = place_outputs(shares, replies, stamp, message->bytes);
  }
  clerk_.count_reply(to, payload, message->bytes.size() + beside);
  send(to, kind, std::move(message));
}

// A reply that says where the outputs lie in shared memory; those of a caller that keeps them
// elsewhere are copied there.
std::size_t Flight::place_outputs(std::span<const Share> shares, const Replies& replies,
                                  const Stamp& stamp, Bytes& message) {
  std::vector<const std::byte*> at;
  const std::span<const std::byte> own = shared_->own();
  const std::less<> before;
  for (const Share& share : shares) {
    const std::byte* output = replies.at(share);
    if (before(output, own.data()) || !before(output, own.data() + own.size())) {
      std::byte* place = arena_for_outputs().take(clerk_.row_bytes());
      std::memcpy(place, output, clerk_.row_bytes());
      output = place;
    }
    at.push_back(output);
  }
  place_reply(stamp, clerk_.self(), own, at, message);
  return at.size() * clerk_.row_bytes();
}

void Flight::take_reply(Split& split, int from, Kind kind, Bytes bytes, int origin) {
  const auto at = static_cast<std::size_t>(from);
  const RowSet& set = split.outbox.rows_to(from);
  const RowRange rows = next_part(set, split.rows_replied[at], from);
  const Stamp stamp = clerk_.stamp(phase(kind), origin, rows.first);
  take_reply_part(split, from, rows, stamp, std::move(bytes));
  split.rows_replied[at] = rows.last;
  if (rows.last < set.rows())
    expect(from, kind);
  else
    --split.replies_awaited;
}

void Flight::take_reply_part(Split& split, int from, RowRange rows, const Stamp& stamp,
                             Bytes bytes) {
  const auto at = static_cast<std::size_t>(from);
  const RowSet& set = split.outbox.rows_to(from);
  Replies& replies = split.replies;
  if (clerk_.packs_replies(from)) {
    decode_packed_reply(bytes, stamp, from, set, rows, clerk_.rule(), replies);
    return clerk_.received_reply(from, packed_reply_payload(bytes, rows.count()));
  }
  const int all = split.outbox.reply_units(from);
  const std::span<const std::byte> shared = shared_with(from, from);
  if (!shared.empty()) {
    find_reply(bytes, stamp, from, all, clerk_.row_bytes(), shared, replies.apart[at]);
    replies.units_here[at] = all;
    return;
  }
  Bytes& message = replies.messages[at];
  const int units = reply_units(set, clerk_.rule(), rows);
  const std::byte* its = decode_reply(bytes, stamp, from, units, clerk_.row_bytes());
  clerk_.received_reply(from, bytes.size() - sizeof(WireHeader));
  if (rows.count() == set.rows()) {
    message = std::move(bytes);
    replies.from[at] = its;
    replies.units_here[at] = all;
    return;
  }
  message.resize(static_cast<std::size_t>(all) * clerk_.row_bytes());
  replies.from[at] = message.data();
  std::memcpy(
      message.data() + static_cast<std::size_t>(replies.units_here[at]) * clerk_.row_bytes(), its,
      static_cast<std::size_t>(units) * clerk_.row_bytes());
  replies.units_here[at] += units;
}

void Flight::answer(Arrival& arrival, std::span<const std::int32_t> place,
                    const std::byte* outputs) {
  Replies replies = Replies::none(clerk_.options(), clerk_.rule(), 0, clerk_.self());
  replies.outputs = outputs;
  replies.place = place;
  std::vector<Share> shares;
  for (int e = 0; e < arrival.set.entries(); ++e)
    shares.push_back({clerk_.self(), e, Share::Kind::kRow});
  send_reply(arrival.from, arrival.handed_on ? Kind::kReplyHandedOn : Kind::kReply, arrival.set,
             shares, replies, arrival.origin);
  arrival.answered = true;
}

void Flight::answer_if_ready(Transit& transit) {
  Split& split = transit.split;
  if (transit.answered || !split.computed || split.replies_awaited > 0) return;
  send_reply(transit.client, Kind::kReplyCross, split.set, split.shares, split.replies, -1);
  transit.answered = true;
}

bool Flight::add_up(std::span<float> out) {
  const auto hidden = static_cast<std::size_t>(clerk_.options().hidden);
  const RowSet& set = home_.set;
  GM_CHECK(out.size() == static_cast<std::size_t>(set.rows()) * hidden,
           "combine: out is not [tokens, hidden]");
  if (!home_.computed) return false;
  const int first = rows_added_up_;
  const int enough = std::min(set.rows() - first, clerk_.rows_of_a_part());
  const auto here = [&](const Share& share) { return home_.replies.here(share); };
  for (; rows_added_up_ < first + enough; ++rows_added_up_) {
    const auto r = static_cast<std::size_t>(rows_added_up_);
    const auto shares = std::span(home_.shares)
                            .subspan(static_cast<std::size_t>(set.first[r]),
                                     static_cast<std::size_t>(set.count(rows_added_up_)));
    if (!std::all_of(shares.begin(), shares.end(), here)) break;
    sum_row(set, rows_added_up_, home_.shares, home_.replies, out.data() + r * hidden);
  }
  return rows_added_up_ > first;
}

}  // namespace gracemoe
