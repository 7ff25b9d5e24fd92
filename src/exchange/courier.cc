#include "exchange/courier.h"

#include <string>

#include "exchange/packed_reply.h"
#include "exchange/packed_rows.h"

namespace gracemoe {

Courier::Courier(const ExchangeOptions& options, const Topology& topology, Transport& transport)
    : transport_(transport),
      clerk_(options, topology, transport.rank(), counters_),
      outgoing_(static_cast<std::size_t>(transport.size())),
      reply_payload_(static_cast<std::size_t>(transport.size())) {
  reset_counters();
}

void Courier::reset_counters() {
  counters_.layers.assign(static_cast<std::size_t>(options().layers), {});
}

std::vector<Arrival> Courier::trade_rows(const Outbox& outbox, std::span<const int> to,
                                         std::span<const int> from, RowPhase phase) {
  if (to.empty() && from.empty()) return {};
  const Stamp its_stamp = clerk_.stamp(phase.phase);
  std::vector<OutgoingMessage> out;
  for (const int rank : to) {
    const RowSet& set = outbox.rows_to(rank);
    Bytes& bytes = outgoing_[static_cast<std::size_t>(rank)];
    const RowFormat format = clerk_.format_between(self(), rank, phase.to_gateways);
    const std::size_t payload = write_rows(set, its_stamp, self(), format, bytes);
    clerk_.count_rows(rank, set, payload, bytes.size());
    if (clerk_.same_node(rank)) counted().intra_row_copies += set.rows();
    out.push_back({rank, bytes});
  }
  std::vector<Arrival> arrivals;
  for (IncomingMessage& message : transport_.exchange(out, from, its_stamp.phase)) {
    Arrival& arrival = arrivals.emplace_back();
    arrival.from = message.from;
    arrival.bytes = std::move(message.bytes);
    const RowFormat format = clerk_.format_between(arrival.from, self(), phase.to_gateways);
    clerk_.received_rows(arrival.from,
                         read_rows(arrival.bytes, its_stamp, arrival.from, format, arrival.set));
  }
  return arrivals;
}

void Courier::prepare_reply(int to, const RowSet& set, std::span<const Share> shares,
                            const Replies& replies, Phase phase) {
  Bytes& bytes = outgoing_[static_cast<std::size_t>(to)];
  std::size_t& payload = reply_payload_[static_cast<std::size_t>(to)];
  const RowRange all = RowRange::all(set);
  if (clerk_.packs_replies(to)) {
    payload =
        encode_packed_reply(set, all, shares, replies, rule(), clerk_.stamp(phase), self(), bytes);
    return;
  }
  std::byte* units = begin_reply(clerk_.stamp(phase), self(), reply_units(set, rule(), all),
                                 clerk_.row_bytes(), bytes);
  write_reply(set, all, shares, replies, rule(), units);
  payload = bytes.size() - sizeof(WireHeader);
}

void Courier::trade_replies(std::span<const int> to, std::span<const int> from,
                            const Outbox& outbox, Phase phase, Replies& replies) {
  if (to.empty() && from.empty()) return;
  const Stamp its_stamp = clerk_.stamp(phase);
  std::vector<OutgoingMessage> out;
  for (const int rank : to) {
    const Bytes& bytes = outgoing_[static_cast<std::size_t>(rank)];
    clerk_.count_reply(rank, reply_payload_[static_cast<std::size_t>(rank)], bytes.size());
    out.push_back({rank, bytes});
  }
  for (IncomingMessage& message : transport_.exchange(out, from, its_stamp.phase)) {
    const auto rank = static_cast<std::size_t>(message.from);
    if (clerk_.packs_replies(message.from)) {
      const RowSet& sent = outbox.rows_to(message.from);
      decode_packed_reply(message.bytes, its_stamp, message.from, sent, RowRange::all(sent), rule(),
                          replies);
      clerk_.received_reply(message.from, packed_reply_payload(message.bytes, sent.rows()));
      continue;
    }
    replies.messages[rank] = std::move(message.bytes);
    replies.from[rank] = decode_reply(replies.messages[rank], its_stamp, message.from,
                                      outbox.reply_units(message.from), clerk_.row_bytes());
    replies.units_here[rank] = outbox.reply_units(message.from);
    clerk_.received_reply(message.from, replies.messages[rank].size() - sizeof(WireHeader));
  }
}

}  // namespace gracemoe
