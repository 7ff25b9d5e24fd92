// Carries sets of rows and replies from rank to rank: encodes, checks what comes in, and counts.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "exchange/exchange.h"
#include "exchange/reduce.h"
#include "exchange/row_set.h"
#include "exchange/wire.h"

namespace gracemoe {

// Rows that another rank sent; `set` points into `bytes`.
struct Arrival {
  int from = 0;
  Bytes bytes;
  RowSet set;
};

// A phase in which rows travel; what its receivers do with them.
struct RowPhase {
  Phase phase;
  bool to_gateways =
      false;  // entries may be for any device of the receiver's node, not only for it
};

class Courier {
 public:
  Courier(const ExchangeOptions& options, const Topology& topology, Transport& transport);
  // Every rank calls this at the same points: it numbers the messages' steps.
  void begin_step(int layer);

  // Sends each rank of `to` what the outbox holds for it; returns what the ranks of `from` sent.
  std::vector<Arrival> trade_rows(const Outbox& outbox, std::span<const int> to,
                                  std::span<const int> from, RowPhase phase);
  // Makes the reply to `set` ready to be sent to rank `to`.
  void prepare_reply(int to, const RowSet& set, std::span<const Share> shares,
                     const Replies& replies, Phase phase);
  // Sends the replies prepared for the ranks of `to`; those of the ranks of `from`, to what the
  // outbox had for them, go into `replies`.
  void trade_replies(std::span<const int> to, std::span<const int> from, const Outbox& outbox,
                     Phase phase, Replies& replies);

  int self() const { return transport_.rank(); }
  const ExchangeOptions& options() const { return options_; }
  const Topology& topology() const { return topology_; }
  ReplyRule rule() const { return rule_; }
  LayerCounters& counted() { return counters_.layers[static_cast<std::size_t>(layer_)]; }
  const ExchangeCounters& counters() const { return counters_; }
  void reset_counters();

 private:
  Stamp stamp(Phase phase) const;
  RowFormat format_towards(int rank, bool gateway) const;
  void count(TrafficBytes LayerCounters::*payload, TrafficBytes LayerCounters::*metadata, int to,
             std::size_t payload_bytes, std::size_t all_bytes);

  ExchangeOptions options_;
  const Topology& topology_;
  Transport& transport_;
  ReplyRule rule_;
  std::size_t row_bytes_;
  std::uint32_t config_;
  std::uint32_t step_ = 0;
  int layer_ = 0;
  std::vector<Bytes> outgoing_;  // [ranks] kept from call to call for their memory
  ExchangeCounters counters_;
};

}  // namespace gracemoe
