#include "exchange/flight.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <functional>
#include <string>

#include "base/error.h"
#include "exchange/expert_work.h"
#include "exchange/packed_rows.h"

namespace gracemoe {
namespace {

// A part of the work, in numbers of its rows: one to ten milliseconds of a core. Between two,
// messages move; where ranks share cores, each look at them may give the core away.
constexpr int kNumbersOfAPart = 1 << 18;

}  // namespace

Flight::Flight(int lane, const Clerk& clerk, const Paths& paths, Transport& transport,
               SharedMemory* shared, std::span<std::byte> memory)
    : lane_(lane),
      clerk_(clerk),
      paths_(paths),
      transport_(transport),
      shared_(shared),
      home_(transport.size(), transport.rank(), clerk.rule()) {
  home_.replies = Replies::none(clerk_.options(), clerk_.rule(), transport.size(), clerk_.self());
  for (const int rank : paths.neighbours) home_.outbox.set_rule(rank, rule_towards(rank));
  const std::size_t part = memory.size() / std::size(arenas_);
  for (std::size_t i = 0; i < std::size(arenas_); ++i)
    arenas_[i] = Arena(memory.subspan(part * i, part));
}

Phase Flight::phase(Kind kind) const {
  static constexpr std::array<Phase, kKinds> kPhases{{
      {11, "dispatch between nodes", -1, 0},
      {12, "dispatch", -1, 0},
      {13, "dispatch, handed on inside the node", -1, 1},
      {14, "combine", -1, 2},
      {15, "combine of what was handed on", -1, 2},
      {16, "combine between nodes", -1, 3},
  }};
  Phase phase = kPhases[static_cast<std::size_t>(kind)];
  phase.tag += lane_ * kTagsOfALane;
  return phase;
}

void Flight::begin(int layer, const TokenRoutes& routes, std::span<const std::byte> rows) {
  GM_CHECK(!open_, "dispatch again before combine");
  GM_CHECK(layer >= 0 && layer < clerk_.options().layers, "dispatch: layer out of range");
  set_home_rows(routes, clerk_.topology().devices(), rows, clerk_.row_bytes(), home_.set);
  for (const std::uint16_t expert : home_.set.expert)
    GM_CHECK(expert < clerk_.options().experts, "dispatch: expert out of range");
  open_ = true;
  rows_ = rows;
  clerk_.begin_step(layer);
  ++step_;
  for (const std::size_t i : {kRowArena, kOutputArena, kEarlyArena + step_ % 2}) arenas_[i].clear();
  home_.outbox.clear();
  home_.computed = false;
  home_.rows_replied.assign(static_cast<std::size_t>(transport_.size()), 0);
  std::fill(home_.replies.units_here.begin(), home_.replies.units_here.end(), 0);
  rows_added_up_ = 0;
  home_.replies_awaited = static_cast<int>(paths_.neighbours.size() + paths_.gateways.size());
  home_given_ = false;
  rows_awaited_ = 0;
  handed_on_awaited_ = paths_.handed_on;
  replies_handed_on_.assign(paths_.handed_on.size(), static_cast<int>(paths_.clients.size()));
  for (const int rank : paths_.clients) expect(rank, Kind::kRowsCross);
  for (const int rank : paths_.neighbours) {
    expect(rank, Kind::kRows);
    expect(rank, Kind::kReply);
    if (handed_on_awaited_[static_cast<std::size_t>(rank)] > 0) expect(rank, Kind::kRowsHandedOn);
    if (!paths_.clients.empty()) expect(rank, Kind::kReplyHandedOn);
    rows_awaited_ += 1 + handed_on_awaited_[static_cast<std::size_t>(rank)];
  }
  rows_awaited_ += static_cast<int>(paths_.clients.size());
  for (const int rank : paths_.gateways) expect(rank, Kind::kReplyCross);
  share_rows(home_.set, rows.data());
  home_.shares = home_.outbox.add(home_.set, paths_.next_hop, paths_.copies);
  for (const int rank : paths_.gateways)
    send_rows(rank, Kind::kRowsCross, home_.outbox.rows_to(rank), -1);
  for (const int rank : paths_.neighbours)
    send_rows(rank, Kind::kRows, home_.outbox.rows_to(rank), -1);
  clerk_.counted().tokens += routes.tokens;
}

void Flight::expect(int from, Kind kind) {
  auto message = std::make_unique<Expected>();
  message->kind = kind;
  message->in.from = from;
  message->in.phase = clerk_.stamp(phase(kind)).phase;
  transport_.begin_receive(message->in);
  expected_.push_back(std::move(message));
}

void Flight::send(int to, Kind kind, std::unique_ptr<Sent> message) {
  std::atomic_thread_fence(std::memory_order_release);  // shared memory comes first
  message->out = {to, clerk_.stamp(phase(kind)).phase, message->bytes};
  transport_.begin_send(message->out);
  sent_.push_back(std::move(message));
}

// The memory of `writer`, if it and `rank` share it.
std::span<const std::byte> Flight::shared_with(int rank, int writer) const {
  if (shared_ == nullptr || shared_->of(rank).empty()) return {};
  return writer == clerk_.self() ? shared_->own() : shared_->of(writer);
}

// Where memory is shared, outputs are read in place: whoever adds them up reads each of them once
// anyway, and a sum on the way would be written and read on top.
ReplyRule Flight::rule_towards(int rank) const {
  return shared_with(rank, rank).empty() ? clerk_.rule() : ReplyRule{};
}

RowFormat Flight::format_between(int from, int to, bool gateway) const {
  RowFormat format = clerk_.format_between(from, to, gateway);
  const int other = from == clerk_.self() ? to : from;
  format.rule = rule_towards(other);
  format.shared = shared_with(other, from);
  return format;
}

void Flight::send_rows(int to, Kind kind, const RowSet& set, int origin) {
  auto message = std::make_unique<Sent>();
  const RowFormat format = format_between(clerk_.self(), to, kind == Kind::kRowsCross);
  const std::size_t payload =
      write_rows(set, clerk_.stamp(phase(kind), origin), clerk_.self(), format, message->bytes);
  clerk_.count_rows(to, set, payload,
                    message->bytes.size() + (format.shared.empty() ? 0 : payload));
  if (clerk_.same_node(to) && format.shared.empty())
    clerk_.counted().intra_row_copies += set.rows();
  send(to, kind, std::move(message));
}

// Rows that a neighbour needs are written to shared memory, once, and read there from now on.
// They lie one behind the other from `first`.
void Flight::share_rows(RowSet& set, const std::byte* first) {
  if (shared_ == nullptr) return;
  for (int r = 0; r < set.rows(); ++r) {
    const auto at = static_cast<std::size_t>(r);
    const auto needed = [&](std::int32_t device) {
      const int next = paths_.next_hop[static_cast<std::size_t>(device)];
      return next != clerk_.self() && !shared_->of(next).empty();
    };
    const auto devices = std::span(set.device)
                             .subspan(static_cast<std::size_t>(set.first[at]),
                                      static_cast<std::size_t>(set.count(r)));
    if (std::none_of(devices.begin(), devices.end(), needed)) continue;
    std::byte* place = arenas_[kRowArena].take(clerk_.row_bytes());
    std::memcpy(place, first + at * clerk_.row_bytes(), clerk_.row_bytes());
    set.row[at] = place;
    ++clerk_.counted().intra_row_copies;
  }
}

bool Flight::pump() {
  if (!open_) return false;
  bool taken = false;
  for (std::size_t i = 0; i < expected_.size();) {
    if (!expected_[i]->in.done) {
      ++i;
      continue;
    }
    std::atomic_thread_fence(std::memory_order_acquire);
    const std::unique_ptr<Expected> message = std::move(expected_[i]);
    expected_.erase(expected_.begin() + static_cast<std::ptrdiff_t>(i));
    take(*message);
    taken = true;
  }
  return taken;
}

void Flight::take(Expected& message) {
  const int from = message.in.from;
  const auto at = static_cast<std::size_t>(from);
  Bytes bytes = std::move(message.in.bytes);
  switch (message.kind) {
    case Kind::kRowsCross:
      return take_transit(from, std::move(bytes));
    case Kind::kRows:
      return take_arrival(from, std::move(bytes), false);
    case Kind::kRowsHandedOn:
      if (--handed_on_awaited_[at] > 0) expect(from, Kind::kRowsHandedOn);
      return take_arrival(from, std::move(bytes), true);
    case Kind::kReply:
    case Kind::kReplyCross:
      return take_reply(home_, from, message.kind, std::move(bytes), -1);
    case Kind::kReplyHandedOn:
      if (--replies_handed_on_[at] > 0) expect(from, Kind::kReplyHandedOn);
      const int origin = origin_of(bytes, clerk_.stamp(phase(message.kind)), from);
      Transit& transit = transit_of(origin, from);
      take_reply(transit.split, from, message.kind, std::move(bytes), origin);
      return answer_if_ready(transit);
  }
}

void Flight::take_transit(int from, Bytes bytes) {
  --rows_awaited_;
  transits_.push_back(std::unique_ptr<Transit>(
      new Transit{from, std::move(bytes), Split(transport_.size(), clerk_.self(), clerk_.rule())}));
  Transit& transit = *transits_.back();
  Split& split = transit.split;
  split.replies = Replies::none(clerk_.options(), clerk_.rule(), transport_.size(), clerk_.self());
  split.rows_replied.resize(static_cast<std::size_t>(transport_.size()));
  split.replies_awaited = static_cast<int>(paths_.neighbours.size());
  for (const int rank : paths_.neighbours) split.outbox.set_rule(rank, rule_towards(rank));
  clerk_.received_rows(from, read_rows(transit.bytes, clerk_.stamp(phase(Kind::kRowsCross)), from,
                                       format_between(from, clerk_.self(), true), split.set));
  share_rows(split.set, split.set.rows() > 0 ? split.set.row[0] : nullptr);
  split.shares = split.outbox.add(split.set, paths_.next_hop, Copies::kPerRank);
  for (const int rank : paths_.neighbours)
    send_rows(rank, Kind::kRowsHandedOn, split.outbox.rows_to(rank), from);
  if (split.outbox.rows_to(clerk_.self()).entries() > 0) {
    waiting_.push_back({&transit});
    return;
  }
  split.computed = true;
  answer_if_ready(transit);
}

void Flight::take_arrival(int from, Bytes bytes, bool handed_on) {
  --rows_awaited_;
  const Kind kind = handed_on ? Kind::kRowsHandedOn : Kind::kRows;
  const int origin = handed_on ? origin_of(bytes, clerk_.stamp(phase(kind)), from) : -1;
  arrivals_.push_back(
      std::unique_ptr<Arrival>(new Arrival{from, origin, handed_on, std::move(bytes), {}}));
  Arrival& arrival = *arrivals_.back();
  clerk_.received_rows(from, read_rows(arrival.bytes, clerk_.stamp(phase(kind), origin), from,
                                       format_between(from, clerk_.self(), false), arrival.set));
  if (arrival.set.entries() > 0)
    waiting_.push_back({nullptr, &arrival});
  else
    answer(arrival, {}, nullptr);
}

Flight::Transit& Flight::transit_of(int client, int reporter) {
  for (const auto& transit : transits_)
    if (transit->client == client) return *transit;
  fail(ErrorCategory::kPeer,
       {"reply of rank " + std::to_string(reporter), "to rows of rank " + std::to_string(client),
        "to rows that were handed on to it", "the ranks are out of step"});
}

const RowSet& Flight::rows_of(const Member& member) const {
  if (member.arrival != nullptr) return member.arrival->set;
  const Split& split = member.transit != nullptr ? member.transit->split : home_;
  return split.outbox.rows_to(clerk_.self());
}

void Flight::plan_batch(std::vector<Member> members) {
  batches_.push_back(std::make_unique<Batch>());
  Batch& batch = *batches_.back();
  if (!spare_.empty()) {
    batch.outputs = std::move(spare_.back());
    spare_.pop_back();
  }
  batch.work.hidden = clerk_.options().hidden;
  batch.work.element = clerk_.options().element;
  std::vector<const RowSet*> sets;
  std::size_t entries = 0;
  for (Member& member : members) {
    sets.push_back(&rows_of(member));
    member.first = entries;
    member.entries = static_cast<std::size_t>(sets.back()->entries());
    entries += member.entries;
  }
  batch.members = std::move(members);
  batch.place = build_work(sets, rows_, batch.work);
  clerk_.counted().entries += batch.work.entries();
}

std::vector<Flight::Member> Flight::waiting_members() {
  std::vector<Member> members(waiting_.begin(), waiting_.end());
  waiting_.clear();
  return members;
}

// Other devices' rows first: their replies have a way to go. Home's fill the waits.
Ready Flight::next(WorkPart& part) {
  const auto unfinished = [&](const auto& batch) {
    return batch->given < batch->work.experts.size();
  };
  const auto give_first = [&](bool home) {
    for (std::size_t b = 0; b < batches_.size(); ++b) {
      const Member& first = batches_[b]->members[0];
      const bool its_home = first.transit == nullptr && first.arrival == nullptr;
      if (its_home != home || !unfinished(batches_[b])) continue;
      give(b, part);
      return true;
    }
    return false;
  };
  if (give_first(false)) return Ready::kPart;
  if (!waiting_.empty()) {
    plan_batch(waiting_members());
    give(batches_.size() - 1, part);
    return Ready::kPart;
  }
  if (!home_given_) {
    home_given_ = true;
    if (rows_of({}).entries() > 0)
      plan_batch({Member{}});
    else
      home_.computed = true;
  }
  if (give_first(true)) return Ready::kPart;
  return all_rows_here() ? Ready::kNone : Ready::kLater;
}

// Where neighbours can read them, if any of them will.
std::byte* Flight::room_for_outputs(Batch& batch) {
  const std::size_t bytes = static_cast<std::size_t>(batch.work.entries()) * clerk_.row_bytes();
  for (const Member& member : batch.members) {
    if (member.arrival != nullptr && !shared_with(member.arrival->from, clerk_.self()).empty())
      return arena_for_outputs().take(bytes);
  }
  batch.outputs.resize(bytes);
  return batch.outputs.data();
}

void Flight::give(std::size_t b, WorkPart& part) {
  Batch& batch = *batches_[b];
  const ExpertWork& work = batch.work;
  const std::size_t first = batch.given;
  const std::int32_t begin = work.offsets[first];
  const std::int32_t enough = kNumbersOfAPart / std::max(work.hidden, 1);
  std::size_t last = first;
  batch.offsets.assign(1, 0);
  do {
    batch.offsets.push_back(work.offsets[++last] - begin);
  } while (last < work.experts.size() && batch.offsets.back() < enough);
  batch.given = last;
  if (batch.output_data == nullptr) batch.output_data = room_for_outputs(batch);
  part.lane = lane_;
  part.batch = b;
  part.row_data = work.row_data;
  part.row_at = work.row_at;
  part.experts = std::span(work.experts).subspan(first, last - first);
  part.offsets = batch.offsets;
  part.row_of =
      std::span(work.row_of)
          .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(batch.offsets.back()));
  part.outputs = batch.output_data + static_cast<std::size_t>(begin) * clerk_.row_bytes();
}

void Flight::done(const WorkPart& part) {
  GM_CHECK(part.batch < batches_.size(), "done: a part that was not given out");
  Batch& batch = *batches_[part.batch];
  batch.done += part.experts.size();
  if (batch.done == batch.work.experts.size()) complete(batch, batch.output_data);
}

// One piece, in a fixed order: home, then by whose rows and through whom they came.
const ExpertWork& Flight::whole() {
  GM_CHECK(all_rows_here() && batches_.empty(), "whole: rows are missing, or were given out");
  std::vector<Member> members = waiting_members();
  const auto key = [](const Member& member) {
    return member.transit != nullptr
               ? std::pair(member.transit->client, -1)
               : std::pair(std::max(member.arrival->origin, -1), member.arrival->from);
  };
  std::sort(members.begin(), members.end(),
            [&](const Member& a, const Member& b) { return key(a) < key(b); });
  members.insert(members.begin(), Member{});
  home_given_ = true;
  plan_batch(std::move(members));
  batches_[0]->given = batches_[0]->work.experts.size();
  return batches_[0]->work;
}

std::span<std::byte> Flight::output_memory() {
  GM_CHECK(open_ && !batches_.empty(), "memory for outputs without dispatch");
  Batch& batch = *batches_[0];
  if (batch.output_data == nullptr) batch.output_data = room_for_outputs(batch);
  return {batch.output_data, batch.place.size() * clerk_.row_bytes()};
}

void Flight::whole_done(std::span<const std::byte> outputs) {
  GM_CHECK(open_ && !batches_.empty(), "combine without dispatch");
  Batch& batch = *batches_[0];
  GM_CHECK(outputs.size() == batch.place.size() * clerk_.row_bytes(),
           "combine: outputs are not [entries, hidden]");
  batch.done = batch.work.experts.size();
  complete(batch, outputs.data());
}

void Flight::complete(Batch& batch, const std::byte* outputs) {
  for (const Member& member : batch.members) {
    const auto place =
        std::span<const std::int32_t>(batch.place).subspan(member.first, member.entries);
    if (member.arrival != nullptr) {
      answer(*member.arrival, place, outputs);
      continue;
    }
    Split& split = member.transit != nullptr ? member.transit->split : home_;
    split.replies.outputs = outputs;
    split.replies.place = place;
    split.computed = true;
    if (member.transit != nullptr) answer_if_ready(*member.transit);
  }
}

bool Flight::settled() const {
  const auto answered = [](const auto& rows) { return rows->answered; };
  return home_.computed && home_.replies_awaited == 0 && all_rows_here() && expected_.empty() &&
         std::all_of(transits_.begin(), transits_.end(), answered) &&
         std::all_of(arrivals_.begin(), arrivals_.end(), answered) &&
         std::all_of(sent_.begin(), sent_.end(), [](const auto& m) { return m->out.done; });
}

void Flight::finish(std::span<float> out) {
  GM_CHECK(settled(), "finish before everything has come");
  while (add_up(out)) {
  }
  GM_CHECK(rows_added_up_ == home_.set.rows(), "a row's results are missing");
  transits_.clear();
  arrivals_.clear();
  sent_.clear();
  for (const auto& batch : batches_) spare_.push_back(std::move(batch->outputs));
  batches_.clear();
  open_ = false;
}

}  // namespace gracemoe
