// A message is a sequence of frames, each of frame_bytes but for the last, which is shorter (and
// empty where the size is a multiple): so a receiver knows the end without a round trip for counts,
// and no frame reaches MPI's limit of 2^31 - 1 elements. The size of a frame is learnt by
// MPI_Iprobe once it is at the door; MPI keeps frames of one sender in order.
#include "exchange/mpi_transport.h"

#include <sched.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <limits>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/quantities.h"

namespace gracemoe {
namespace {

// Polls before the core is offered to others: a message inside a host arrives within a few.
constexpr int kSpins = 16;
// A wait of this long will last. On a crowded machine sleeping leaves the core to the rank waited
// for: with 4 ranks on 2 cores, 0.3 s of computing by one took 0.9 to 1.2 s beside three that only
// yielded, and 0.31 to 0.39 s beside three that slept. Sleeping a sixteenth of the time waited
// already costs little against the wait; 500 us are long against the cost of waking (about 10 us),
// and short enough for the kernel's buffers to keep a 1 Gbit/s link busy meanwhile (62 KB).
constexpr double kSleepAfterSeconds = 1e-3;
constexpr double kSleepShare = 1.0 / 16;
constexpr double kLongestSleepSeconds = 500e-6;

// What a wait is given beyond the timeout for each of its Phase::depth.
constexpr double kLeastDelay = 0.25;
constexpr double kDelayShare = 0.05;

std::string name_of_rank(int rank) {
  return "rank " + std::to_string(rank);
}

// A wait of this long answers who asks whether this rank is alive.
constexpr double kAnswerAfterSeconds = 0.02;
// After this part of the timeout it asks itself; where all answer, others wait for whoever is
// silent, and this rank leaves them so many timeouts to say so.
constexpr double kAskShare = 0.5;
constexpr double kAliveFactor = 2;

// The only waiting there is: between polls that found nothing.
class Patience {
 public:
  Patience(const MpiWaitOptions& options, int depth, MpiRollCall& roll_call)
      : options_(options),
        roll_call_(roll_call),
        timeout_(options.timeout_seconds +
                 depth * std::max(kLeastDelay, kDelayShare * options.timeout_seconds)) {}
  void progressed() {
    polls_ = 0;
    since_ = 0;
    asked_ = false;
  }
  // False when the timeout has passed without progress. `silent()`: the ranks waited for.
  template <typename Silent>
  bool idle(Silent silent) {
    if (++polls_ < kSpins) return true;
    const double now = wall_seconds();
    if (since_ == 0) since_ = now;
    if (options_.crowded && now - since_ > kSleepAfterSeconds) {
      std::this_thread::sleep_for(std::chrono::duration<double>(
          std::min(kLongestSleepSeconds, (now - since_) * kSleepShare)));
    } else {
      sched_yield();
    }
    return options_.timeout_seconds <= 0 || goes_on(now - since_, silent);
  }
  // Of the ranks asked, those that did not answer; none were asked: nobody.
  std::vector<int> missing() const { return asked_ ? roll_call_.missing() : std::vector<int>(); }

 private:
  template <typename Silent>
  bool goes_on(double waited, Silent silent) {
    if (waited < kAnswerAfterSeconds) return true;
    roll_call_.serve();
    if (!asked_ && waited > kAskShare * options_.timeout_seconds) {
      roll_call_.ask(silent());
      asked_ = true;
    }
    if (waited < timeout_) return true;
    return asked_ && roll_call_.missing().empty() && waited < kAliveFactor * timeout_;
  }

  const MpiWaitOptions& options_;
  MpiRollCall& roll_call_;
  double timeout_;
  int polls_ = 0;
  double since_ = 0;
  bool asked_ = false;
};

class Sending {
 public:
  Sending(MPI_Comm comm, std::span<const OutgoingMessage> messages, std::size_t frame_bytes,
          const Phase& phase)
      : phase_(phase) {
    for (const OutgoingMessage& message : messages) {
      for (std::size_t at = 0; at <= message.bytes.size(); at += frame_bytes) {
        const std::size_t length = std::min(frame_bytes, message.bytes.size() - at);
        to_.push_back(message.to);
        check_mpi(MPI_Isend(message.bytes.data() + at, static_cast<int>(length), MPI_BYTE,
                            message.to, phase.tag, comm, &requests_.emplace_back(MPI_REQUEST_NULL)),
                  "sending to " + name_of_rank(message.to) + " (" + to_string(phase) + ")");
      }
    }
    left_ = requests_.size();
    finished_.resize(left_);
    statuses_.resize(left_);
  }

  bool done() const { return left_ == 0; }

  // True if a frame went out.
  bool poll() {
    if (done()) return false;
    int count = 0;
    const int code = MPI_Testsome(static_cast<int>(requests_.size()), requests_.data(), &count,
                                  finished_.data(), statuses_.data());
    for (int i = 0; i < count && code == MPI_ERR_IN_STATUS; ++i) {
      const int to = to_[static_cast<std::size_t>(finished_[static_cast<std::size_t>(i)])];
      check_mpi(statuses_[static_cast<std::size_t>(i)].MPI_ERROR,
                "sending to " + name_of_rank(to) + " (" + to_string(phase_) + ")");
    }
    check_mpi(code, [&] { return "sending (" + to_string(phase_) + ")"; });
    if (count == MPI_UNDEFINED || count <= 0) return false;
    left_ -= static_cast<std::size_t>(count);
    return true;
  }

  // The ranks that have not taken their message yet.
  std::vector<int> missing() const {
    std::vector<int> ranks;
    for (std::size_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] != MPI_REQUEST_NULL && (ranks.empty() || ranks.back() != to_[i])) {
        ranks.push_back(to_[i]);
      }
    }
    return ranks;
  }

 private:
  Phase phase_;
  std::vector<int> to_;                // [frames]
  std::vector<MPI_Request> requests_;  // [frames]
  std::vector<int> finished_;
  std::vector<MPI_Status> statuses_;
  std::size_t left_ = 0;
};

// One message on its way in.
class Receiving {
 public:
  explicit Receiving(int from) { message_.from = from; }
  bool done() const { return done_; }
  bool met() const { return request_ != MPI_REQUEST_NULL; }  // a frame of it, that is on its way
  int from() const { return message_.from; }
  IncomingMessage& message() { return message_; }

  // True if a frame was met or has arrived. `tag`: of the messages to look at; where it is any, one
  // of another phase is an error.
  bool poll(MPI_Comm comm, std::size_t frame_bytes, const Phase& phase, int tag = MPI_ANY_TAG) {
    if (done_) return false;
    const auto what = [&] { return doing(phase); };
    int flag = 0;
    MPI_Status status;
    if (met()) {
      check_mpi(MPI_Test(&request_, &flag, &status), what);
      if (flag == 0) return false;
      done_ = frame_ < frame_bytes;
      return true;
    }
    check_mpi(MPI_Iprobe(message_.from, tag, comm, &flag, &status), what);
    if (flag == 0) return false;
    meet_frame(comm, frame_bytes, phase, status);
    return true;
  }

 private:
  std::string doing(const Phase& phase) const {
    return "receiving from " + name_of_rank(message_.from) + " (" + to_string(phase) + ")";
  }

  void meet_frame(MPI_Comm comm, std::size_t frame_bytes, const Phase& phase, MPI_Status status) {
    int count = 0;
    check_mpi(MPI_Get_count(&status, MPI_BYTE, &count), doing(phase));
    if (status.MPI_TAG != phase.tag || static_cast<std::size_t>(count) > frame_bytes) {
      fail(ErrorCategory::kPeer,
           {doing(phase),
            "a message of phase " + std::to_string(status.MPI_TAG) + " with " +
                std::to_string(count) + " bytes",
            "phase " + std::to_string(phase.tag), "the ranks are out of step"});
    }
    frame_ = static_cast<std::size_t>(count);
    const std::size_t at = message_.bytes.size();
    message_.bytes.resize(at + frame_);
    check_mpi(MPI_Irecv(message_.bytes.data() + at, count, MPI_BYTE, message_.from, phase.tag, comm,
                        &request_),
              doing(phase));
  }

  IncomingMessage message_;
  MPI_Request request_ = MPI_REQUEST_NULL;
  std::size_t frame_ = 0;
  bool done_ = false;
};

// Names those of them that did not answer when they were asked whether they are alive.
[[noreturn]] void fail_silent(const std::vector<int>& silent, const std::vector<int>& deaf,
                              const std::vector<int>& missing, const Phase& phase, double seconds) {
  const std::vector<int>& ranks = !missing.empty() ? missing : silent.empty() ? deaf : silent;
  std::string names;
  for (const int rank : ranks) names += (names.empty() ? "" : ", ") + std::to_string(rank);
  const std::string who = (ranks.size() == 1 ? "rank " : "ranks ") + names;
  const std::string what =
      silent.empty() ? who + " took no message for " : "no message from " + who + " for ";
  fail(ErrorCategory::kPeer,
       {what + plain_number(seconds) + " seconds (" + to_string(phase) + ")", "", "",
        "look whether that process is stopped, swapping or cut off; a slower cluster needs a "
        "longer timeout"});
}

}  // namespace

void check_mpi(int code, const std::string& doing) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  fail(ErrorCategory::kPeer,
       {doing + ": MPI says '" + std::string(text.data(), static_cast<std::size_t>(length)) + "'",
        "", "", "look for a rank or a host that has failed"});
}

// What was begun and is not done.
struct MpiTransport::UnderWay {
  struct Out {
    Outbound* message;
    Sending sending;
  };
  struct In {
    Inbound* message;
    Receiving receiving;
  };
  std::vector<Out> out;
  std::vector<In> in;
};

MpiTransport::MpiTransport(MPI_Comm comm, std::size_t frame_bytes, const MpiWaitOptions& wait)
    : comm_(comm),
      frame_bytes_(frame_bytes),
      wait_(wait),
      roll_call_(comm),
      under_way_(std::make_unique<UnderWay>()) {
  check_mpi(MPI_Comm_rank(comm, &rank_), "asking for the rank");
  check_mpi(MPI_Comm_size(comm, &size_), "asking for the number of ranks");
}

std::vector<IncomingMessage> MpiTransport::exchange(std::span<const OutgoingMessage> out,
                                                    std::span<const int> from, const Phase& phase) {
  Sending sending(comm_, out, frame_bytes_, phase);
  std::vector<Receiving> receiving;
  for (const int rank : from) receiving.emplace_back(rank);
  Patience patience(wait_, phase.depth, roll_call_);
  const auto silent = [&] {
    std::vector<int> ranks;
    for (const Receiving& message : receiving)
      if (!message.done()) ranks.push_back(message.from());
    return ranks;
  };
  const auto silent_or_deaf = [&] {
    const std::vector<int> ranks = silent();
    return ranks.empty() ? sending.missing() : ranks;
  };
  // Where other messages are under way, they may come first.
  const int tag = under_way_->in.empty() ? MPI_ANY_TAG : phase.tag;
  for (std::size_t left = from.size(); left > 0 || !sending.done();) {
    bool progress = sending.poll();
    for (Receiving& message : receiving) {
      const bool open = !message.done();
      progress |= message.poll(comm_, frame_bytes_, phase, tag);
      if (open && message.done()) --left;
    }
    if (progress) {
      patience.progressed();
    } else if (!patience.idle(silent_or_deaf)) {
      fail_silent(silent(), sending.missing(), patience.missing(), phase, wait_.timeout_seconds);
    }
  }
  std::vector<IncomingMessage> in;
  for (Receiving& message : receiving) in.push_back(std::move(message.message()));
  return in;
}

MpiTransport::~MpiTransport() = default;

void MpiTransport::begin_send(Outbound& message) {
  const OutgoingMessage out{message.to, message.bytes};
  under_way_->out.push_back({&message, Sending(comm_, {&out, 1}, frame_bytes_, message.phase)});
}

void MpiTransport::begin_receive(Inbound& message) {
  for (const UnderWay::In& other : under_way_->in)
    GM_CHECK(other.message->from != message.from || other.message->phase.tag != message.phase.tag,
             "two messages of one rank and phase awaited at once");
  under_way_->in.push_back({&message, Receiving(message.from)});
}

// A frame that nobody has met, of whomever. One look at all is as dear as one at a rank's: each
// walks through all connections, and where nothing has come does so in vain.
bool MpiTransport::something_has_come() {
  int flag = 0;
  for (int look = 0; look < 2 && flag == 0; ++look)  // the first moves on what the second finds
    check_mpi(MPI_Iprobe(MPI_ANY_SOURCE, MPI_ANY_TAG, comm_, &flag, MPI_STATUS_IGNORE),
              [&] { return "looking for messages (" + to_string(first_phase()) + ")"; });
  return flag != 0;
}

bool MpiTransport::advance() {
  bool moved = false;
  std::erase_if(under_way_->out, [&](UnderWay::Out& out) {
    moved |= out.sending.poll();
    return out.message->done = out.sending.done();
  });
  const bool some = !under_way_->in.empty() && something_has_come();
  std::erase_if(under_way_->in, [&](UnderWay::In& in) {
    if (!some && !in.receiving.met()) return false;
    const Phase& phase = in.message->phase;
    while (in.receiving.poll(comm_, frame_bytes_, phase, phase.tag)) moved = true;
    if (!in.receiving.done()) return false;
    in.message->bytes = std::move(in.receiving.message().bytes);
    return in.message->done = true;
  });
  return moved;
}

void MpiTransport::poll() {
  advance();
}

void MpiTransport::wait() {
  const auto left = [&] { return under_way_->out.size() + under_way_->in.size(); };
  if (left() == 0) return;
  Patience patience(wait_, first_phase().depth, roll_call_);
  for (const std::size_t before = left(); left() == before;) {
    if (advance())
      patience.progressed();
    else if (!patience.idle([&] { return first_silent(); }))
      fail_waiting();
  }
}

// Of all that is awaited, the phase on which the fewest others hang.
Phase MpiTransport::first_phase() const {
  Phase first;
  first.depth = std::numeric_limits<int>::max();
  const auto look = [&](const Phase& phase) {
    if (phase.depth < first.depth) first = phase;
  };
  for (const UnderWay::In& in : under_way_->in) look(in.message->phase);
  if (under_way_->in.empty())
    for (const UnderWay::Out& out : under_way_->out) look(out.message->phase);
  return first;
}

// Whom it waits for there.
std::vector<int> MpiTransport::first_silent() const {
  const int depth = first_phase().depth;
  std::vector<int> ranks;
  const auto add = [&](int rank) {
    if (std::find(ranks.begin(), ranks.end(), rank) == ranks.end()) ranks.push_back(rank);
  };
  for (const UnderWay::In& in : under_way_->in)
    if (in.message->phase.depth == depth) add(in.message->from);
  if (under_way_->in.empty())
    for (const UnderWay::Out& out : under_way_->out) add(out.message->to);
  return ranks;
}

void MpiTransport::fail_waiting() const {
  std::vector<int> ranks = first_silent();
  Phase phase = first_phase();
  const std::vector<int>& missing = roll_call_.missing();
  if (!missing.empty()) {
    ranks = missing;
    for (const UnderWay::In& in : under_way_->in)
      if (in.message->from == missing[0] && in.message->phase.depth == phase.depth)
        phase = in.message->phase;
  }
  const bool deaf = under_way_->in.empty();
  fail_silent(deaf ? std::vector<int>() : ranks, ranks, {}, phase, wait_.timeout_seconds);
}

}  // namespace gracemoe
