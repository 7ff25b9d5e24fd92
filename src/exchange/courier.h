// Carries sets of rows and replies from rank to rank, one phase after the other: encodes, checks
// what comes in, and counts.
#pragma once
#include <span>
#include <vector>

#include "exchange/clerk.h"
#include "exchange/reduce.h"

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
  void begin_step(int layer) { clerk_.begin_step(layer); }

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
  const ExchangeOptions& options() const { return clerk_.options(); }
  const Topology& topology() const { return clerk_.topology(); }
  ReplyRule rule() const { return clerk_.rule(); }
  LayerCounters& counted() { return clerk_.counted(); }
  const ExchangeCounters& counters() const { return counters_; }
  void reset_counters();

 private:
  Transport& transport_;
  ExchangeCounters counters_;
  Clerk clerk_;
  std::vector<Bytes> outgoing_;             // [ranks] kept from call to call for their memory
  std::vector<std::size_t> reply_payload_;  // [ranks] of the replies prepared
};

}  // namespace gracemoe
