#include "exchange/courier.h"

#include <string>

#include "base/hash.h"

namespace gracemoe {
namespace {

std::uint32_t config_hash(const ExchangeOptions& options, const Topology& topology) {
  const std::string text = std::string(to_string(options.kind)) + " " +
                           to_string(options.reduction) + " " +
                           std::to_string(element_size(options.element)) + " " +
                           std::to_string(options.hidden) + " " + std::to_string(options.layers) +
                           " " + std::to_string(options.experts) + " " + topology.to_string();
  return static_cast<std::uint32_t>(hash_bytes(std::as_bytes(std::span(text))));
}

}  // namespace

Courier::Courier(const ExchangeOptions& options, const Topology& topology, Transport& transport)
    : options_(options),
      topology_(topology),
      transport_(transport),
      rule_(ReplyRule::of(options.reduction, options.element)),
      row_bytes_(static_cast<std::size_t>(options.hidden) * element_size(options.element)),
      config_(config_hash(options, topology)),
      outgoing_(static_cast<std::size_t>(transport.size())) {
  reset_counters();
}

void Courier::begin_step(int layer) {
  layer_ = layer;
  ++step_;
}

void Courier::reset_counters() {
  counters_.layers.assign(static_cast<std::size_t>(options_.layers), {});
}

Stamp Courier::stamp(Phase phase) const {
  phase.layer = layer_;
  return {config_, step_, phase};
}

RowFormat Courier::format_towards(int rank, bool gateway) const {
  RowFormat format{row_bytes_, rule_, options_.experts, rank, 1};
  if (gateway) {
    const int node = topology_.node_of(rank);
    format.first_device = topology_.first_device(node);
    format.devices = topology_.devices_on(node);
  }
  return format;
}

void Courier::count(TrafficBytes LayerCounters::*payload, TrafficBytes LayerCounters::*metadata,
                    int to, std::size_t payload_bytes, std::size_t all_bytes) {
  const bool cross = topology_.node_of(to) != topology_.node_of(self());
  const auto side = cross ? &TrafficBytes::cross_node : &TrafficBytes::intra_node;
  counted().*payload.*side += static_cast<std::int64_t>(payload_bytes);
  counted().*metadata.*side += static_cast<std::int64_t>(all_bytes - payload_bytes);
  ++counted().messages;
}

std::vector<Arrival> Courier::trade_rows(const Outbox& outbox, std::span<const int> to,
                                         std::span<const int> from, RowPhase phase) {
  if (to.empty() && from.empty()) return {};
  const Stamp its_stamp = stamp(phase.phase);
  std::vector<OutgoingMessage> out;
  for (const int rank : to) {
    const RowSet& set = outbox.rows_to(rank);
    Bytes& bytes = outgoing_[static_cast<std::size_t>(rank)];
    const std::size_t payload =
        encode_rows(set, its_stamp, self(), format_towards(rank, phase.to_gateways), bytes);
    count(&LayerCounters::dispatch_payload, &LayerCounters::dispatch_metadata, rank, payload,
          bytes.size());
    if (topology_.node_of(rank) != topology_.node_of(self()))
      counted().cross_node_rows += set.rows();
    out.push_back({rank, bytes});
  }
  std::vector<Arrival> arrivals;
  for (IncomingMessage& message : transport_.exchange(out, from, its_stamp.phase)) {
    Arrival& arrival = arrivals.emplace_back();
    arrival.from = message.from;
    arrival.bytes = std::move(message.bytes);
    decode_rows(arrival.bytes, its_stamp, arrival.from, format_towards(self(), phase.to_gateways),
                arrival.set);
  }
  return arrivals;
}

void Courier::prepare_reply(int to, const RowSet& set, std::span<const Share> shares,
                            const Replies& replies, Phase phase) {
  Bytes& bytes = outgoing_[static_cast<std::size_t>(to)];
  std::byte* units = begin_reply(stamp(phase), self(), reply_units(set, rule_), row_bytes_, bytes);
  write_reply(set, shares, replies, rule_, units);
}

void Courier::trade_replies(std::span<const int> to, std::span<const int> from,
                            const Outbox& outbox, Phase phase, Replies& replies) {
  if (to.empty() && from.empty()) return;
  const Stamp its_stamp = stamp(phase);
  std::vector<OutgoingMessage> out;
  for (const int rank : to) {
    const Bytes& bytes = outgoing_[static_cast<std::size_t>(rank)];
    count(&LayerCounters::combine_payload, &LayerCounters::combine_metadata, rank,
          bytes.size() - sizeof(WireHeader), bytes.size());
    out.push_back({rank, bytes});
  }
  for (IncomingMessage& message : transport_.exchange(out, from, its_stamp.phase)) {
    const auto rank = static_cast<std::size_t>(message.from);
    replies.messages[rank] = std::move(message.bytes);
    replies.from[rank] = decode_reply(replies.messages[rank], its_stamp, message.from,
                                      outbox.reply_units(message.from), row_bytes_);
  }
}

}  // namespace gracemoe
