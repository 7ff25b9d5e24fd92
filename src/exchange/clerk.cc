#include "exchange/clerk.h"

#include <algorithm>
#include <string>

#include "base/hash.h"

namespace gracemoe {
namespace {

// About 0.1 ms of packing, and 1 ms of a link of 1 Gbit/s.
constexpr int kNumbersOfAReplyPart = 1 << 16;

std::uint32_t config_hash(const ExchangeOptions& options, const Topology& topology) {
  std::string text;
  for (const std::string& part :
       {std::string(to_string(options.kind)), std::string(to_string(options.reduction)),
        std::string(to_string(options.overlap)), std::string(to_string(options.intra)),
        std::string(to_string(options.packing)), std::string(to_string(options.even)),
        std::to_string(element_size(options.element)), std::to_string(options.hidden),
        std::to_string(options.layers), std::to_string(options.experts), topology.to_string()})
    text += part + " ";
  return static_cast<std::uint32_t>(hash_bytes(std::as_bytes(std::span(text))));
}

}  // namespace

Clerk::Clerk(const ExchangeOptions& options, const Topology& topology, int self,
             ExchangeCounters& counters)
    : options_(options),
      topology_(&topology),
      self_(self),
      rule_(ReplyRule::of(options.reduction, options.element)),
      row_bytes_(static_cast<std::size_t>(options.hidden) * element_size(options.element)),
      config_(config_hash(options, topology)),
      counters_(&counters) {}

void Clerk::begin_step(int layer) {
  layer_ = layer;
  ++step_;
}

Stamp Clerk::stamp(Phase phase, int origin, int first_row) const {
  phase.layer = layer_;
  return {config_, step_, phase, origin, first_row};
}

RowFormat Clerk::format_between(int from, int to, bool gateway) const {
  RowFormat format{row_bytes_, rule_, options_.experts, to, 1};
  const int other = from == self_ ? to : from;
  format.packed_sums = packs_replies(other);
  format.packed_rows = packs(Packing::kRows, other);
  if (gateway) {
    const int node = topology_->node_of(to);
    format.first_device = topology_->first_device(node);
    format.devices = topology_->devices_on(node);
  }
  return format;
}

int Clerk::rows_of_a_part() const {
  return std::max(1, kNumbersOfAReplyPart / options_.hidden);
}

void Clerk::count(TrafficBytes& payload, TrafficBytes& metadata, int to, std::size_t payload_bytes,
                  std::size_t all_bytes) {
  const auto side = same_node(to) ? &TrafficBytes::intra_node : &TrafficBytes::cross_node;
  payload.*side += static_cast<std::int64_t>(payload_bytes);
  metadata.*side += static_cast<std::int64_t>(all_bytes - std::min(payload_bytes, all_bytes));
  ++counted().messages;
}

void Clerk::count_rows(int to, const RowSet& set, std::size_t payload_bytes,
                       std::size_t all_bytes) {
  LayerCounters& counters = counted();
  count(counters.dispatch_payload, counters.dispatch_metadata, to, payload_bytes, all_bytes);
  if (!same_node(to)) counters.cross_node_rows += set.rows();
}

void Clerk::received_rows(int from, std::size_t payload_bytes) {
  if (!same_node(from)) counted().dispatch_received += static_cast<std::int64_t>(payload_bytes);
}

void Clerk::received_reply(int from, std::size_t payload_bytes) {
  if (!same_node(from)) counted().combine_received += static_cast<std::int64_t>(payload_bytes);
}

void Clerk::count_reply(int to, std::size_t payload_bytes, std::size_t all_bytes) {
  LayerCounters& counters = counted();
  count(counters.combine_payload, counters.combine_metadata, to, payload_bytes, all_bytes);
}

}  // namespace gracemoe
