// Stamps, formats and counts the messages of one exchange or lane.
#pragma once
#include <climits>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "exchange/exchange.h"
#include "exchange/row_set.h"
#include "exchange/wire.h"

namespace gracemoe {

class Clerk {
 public:
  // `counters` has the options' layers; it and the topology outlive the clerk.
  Clerk(const ExchangeOptions& options, const Topology& topology, int self,
        ExchangeCounters& counters);
  // Every rank calls this at the same points: it numbers the messages' steps.
  void begin_step(int layer);

  Stamp stamp(Phase phase, int origin = -1, int first_row = 0) const;
  // Of rows from a rank to another; `gateway`: for any device of its node, not only for it.
  RowFormat format_between(int from, int to, bool gateway) const;
  // Whether replies between this rank and that one are packed (packed_reply.h).
  bool packs_replies(int rank) const {
    return packs(Packing::kSums, rank) && options_.reduction == Reduction::kFp32;
  }
  // Replies between nodes travel in parts, so that the first is on the wire, and unpacked at home,
  // while the others are made: after so many rows a new message begins.
  int rows_of_a_part() const;
  int rows_of_a_reply_part(int rank) const { return same_node(rank) ? INT_MAX : rows_of_a_part(); }
  // A message to `to` of which so many bytes are rows or sums.
  void count_rows(int to, const RowSet& set, std::size_t payload_bytes, std::size_t all_bytes);
  void count_reply(int to, std::size_t payload_bytes, std::size_t all_bytes);
  // So many bytes of rows or sums came from `from`.
  void received_rows(int from, std::size_t payload_bytes);
  void received_reply(int from, std::size_t payload_bytes);
  LayerCounters& counted() { return counters_->layers[static_cast<std::size_t>(layer_)]; }

  const ExchangeOptions& options() const { return options_; }
  const Topology& topology() const { return *topology_; }
  ReplyRule rule() const { return rule_; }
  std::size_t row_bytes() const { return row_bytes_; }
  int self() const { return self_; }
  bool same_node(int rank) const { return topology_->node_of(rank) == topology_->node_of(self_); }

 private:
  bool packs(Packing what, int rank) const {
    return (options_.packing == what || options_.packing == Packing::kAll) &&
           options_.element == Element::kBf16 && !same_node(rank);
  }
  void count(TrafficBytes& payload, TrafficBytes& metadata, int to, std::size_t payload_bytes,
             std::size_t all_bytes);

  ExchangeOptions options_;
  const Topology* topology_;
  int self_;
  ReplyRule rule_;
  std::size_t row_bytes_;
  std::uint32_t config_;
  std::uint32_t step_ = 0;
  int layer_ = 0;
  ExchangeCounters* counters_;
};

}  // namespace gracemoe
