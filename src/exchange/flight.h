// One dispatch and combine under way: what the overlapped exchange does in one lane. Nothing here
// blocks; messages move where the exchange polls the transport.
//
// Rows come from three sides and each is answered by a reply:
//   home      this device's own; their sums end here
//   transit   a client's rows on another node, that this device is the gateway of: it hands them on
//             to its neighbours as soon as they are here, and answers when all their replies are
//   arrival   what a neighbour sent of its own, or handed on of a client's: computed here alone
#pragma once
#include <deque>
#include <memory>
#include <span>
#include <vector>

#include "exchange/clerk.h"
#include "exchange/paths.h"
#include "exchange/reduce.h"
#include "exchange/shared_memory.h"
#include "exchange/transport.h"

namespace gracemoe {

class Flight {
 public:
  // `shared` may be null: rows travel in messages. `memory` is this lane's part of it. All outlive
  // the flight.
  Flight(int lane, const Clerk& clerk, const Paths& paths, Transport& transport,
         SharedMemory* shared, std::span<std::byte> memory);

  bool open() const { return open_; }  // begun and not finished
  void begin(int layer, const TokenRoutes& routes, std::span<const std::byte> rows);
  // Takes what has arrived since, and sends what that made ready; false if there was nothing.
  // Sending looks at the messages: after true more may have arrived, here and in other flights.
  bool pump();
  bool all_rows_here() const { return rows_awaited_ == 0; }
  // As Exchange. Rows that have arrived are gathered to one piece of work; `whole`: with those of
  // home, and only when all have arrived.
  Ready next(WorkPart& part);
  const ExpertWork& whole();
  void done(const WorkPart& part);
  std::span<std::byte> output_memory();  // of the whole
  void whole_done(std::span<const std::byte> outputs);
  // Everything is computed, answered, received and sent.
  bool settled() const;
  // Sums some of home's rows, in their order, as far as all of a row's results are here; false if
  // there was none. To the same `out` as finish(), which does what is left.
  bool add_up(std::span<float> out);
  void finish(std::span<float> out);
  LayerCounters& counted() { return clerk_.counted(); }

 private:
  enum class Kind { kRowsCross, kRows, kRowsHandedOn, kReply, kReplyHandedOn, kReplyCross };
  static constexpr int kKinds = 6;
  struct Expected {
    Inbound in;
    Kind kind;
  };
  // Rows split by who computes them, and what has come back.
  struct Split {
    Split(int ranks, int self, ReplyRule rule) : outbox(ranks, self, rule) {}
    RowSet set;
    Outbox outbox;
    std::vector<Share> shares;
    Replies replies;
    std::vector<int> rows_replied;  // [ranks] rows whose replies are here
    int replies_awaited = 0;        // ranks whose replies are not all here
    bool computed = false;
  };
  struct Transit {
    int client;
    Bytes bytes;
    Split split;
    bool answered = false;
  };
  struct Arrival {
    int from, origin;
    bool handed_on;
    Bytes bytes;
    RowSet set;
    bool answered = false;
  };
  // Sets that are computed together: of home (null both), of a transit or of an arrival.
  struct Member {
    Transit* transit = nullptr;
    Arrival* arrival = nullptr;
    std::size_t first = 0, entries = 0;  // among the batch's
  };
  struct Batch {
    std::vector<Member> members;
    ExpertWork work;
    std::vector<std::int32_t> place;
    Bytes outputs;                      // or in shared memory
    std::byte* output_data = nullptr;   // where they are
    std::vector<std::int32_t> offsets;  // of the part given out last, from 0
    std::size_t given = 0, done = 0;    // groups
  };

  Phase phase(Kind kind) const;
  void expect(int from, Kind kind);
  void send(int to, Kind kind, std::unique_ptr<Sent> message);
  void send_rows(int to, Kind kind, const RowSet& set, int origin);
  void send_reply(int to, Kind kind, const RowSet& set, std::span<const Share> shares,
                  const Replies& replies, int origin);
  void send_reply_part(int to, Kind kind, const RowSet& set, RowRange rows,
                       std::span<const Share> shares, const Replies& replies, int origin);
  // Of the reply to a set, between this rank and that one: the rows of the next message.
  RowRange next_part(const RowSet& set, int first, int rank) const;
  std::span<const std::byte> shared_with(int rank, int writer) const;
  ReplyRule rule_towards(int rank) const;
  RowFormat format_between(int from, int to, bool gateway) const;
  std::size_t place_outputs(std::span<const Share> shares, const Replies& replies,
                            const Stamp& stamp, Bytes& message);
  void share_rows(RowSet& set, const std::byte* first);

  void take(Expected& message);
  void take_transit(int from, Bytes bytes);
  void take_arrival(int from, Bytes bytes, bool handed_on);
  void take_reply(Split& split, int from, Kind kind, Bytes bytes, int origin);
  void take_reply_part(Split& split, int from, RowRange rows, const Stamp& stamp, Bytes bytes);
  Transit& transit_of(int client, int reporter);

  void plan_batch(std::vector<Member> members);
  std::vector<Member> waiting_members();
  const RowSet& rows_of(const Member& member) const;
  void give(std::size_t batch, WorkPart& part);
  std::byte* room_for_outputs(Batch& batch);
  Arena& arena_for_outputs() {
    return arenas_[all_rows_here() ? kOutputArena : kEarlyArena + step_ % 2];
  }
  void complete(Batch& batch, const std::byte* outputs);
  void answer_if_ready(Transit& transit);
  void answer(Arrival& arrival, std::span<const std::int32_t> place, const std::byte* outputs);

  int lane_;
  Clerk clerk_;
  const Paths& paths_;
  Transport& transport_;
  SharedMemory* shared_;
  // What neighbours read. A step writes to memory of the step before only what they have done with
  // for sure; memory that is used again is still in the caches.
  // Rows: each neighbour has answered, so has read them, before a step ends.
  static constexpr std::size_t kRowArena = 0;
  // Outputs: where all neighbours' rows of this step are here, they have finished the last.
  static constexpr std::size_t kOutputArena = 1;
  // Outputs that cannot wait for that: of even steps, then of odd ones.
  static constexpr std::size_t kEarlyArena = 2;
  Arena arenas_[kEarlyArena + 2];
  unsigned step_ = 0;

  bool open_ = false;
  std::span<const std::byte> rows_;
  Split home_;
  std::vector<std::unique_ptr<Transit>> transits_;
  std::vector<std::unique_ptr<Arrival>> arrivals_;
  std::deque<Member> waiting_;  // here, and in no batch yet
  std::vector<std::unique_ptr<Batch>> batches_;
  std::vector<Bytes> spare_;  // outputs' memory of former steps
  bool home_given_ = false;
  int rows_added_up_ = 0;  // of home
  std::vector<std::unique_ptr<Expected>> expected_;
  std::vector<std::unique_ptr<Sent>> sent_;
  int rows_awaited_ = 0;                // messages with rows that have not come
  std::vector<int> handed_on_awaited_;  // [ranks] of them, those handed on
  std::vector<int> replies_handed_on_;  // [ranks] replies to what was handed on there
};

}  // namespace gracemoe
