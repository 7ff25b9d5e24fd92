#include "support/thread_transport.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"

namespace gracemoe {
namespace {

struct Letter {
  int tag = 0;
  Bytes bytes;
};

// What the threads share. One lock for all: tests care for order, not for speed.
class Group {
 public:
  explicit Group(int ranks)
      : ranks_(ranks),
        boxes_(static_cast<std::size_t>(ranks) * static_cast<std::size_t>(ranks)),
        states_(static_cast<std::size_t>(ranks)) {}

  int ranks() const { return ranks_; }

  void post(int from, int to, Letter letter) {
    const std::lock_guard lock(mutex_);
    box(from, to).push_back(std::move(letter));
    changed_.notify_all();
  }

  Bytes take(int from, int to, const Phase& phase) {
    std::unique_lock lock(mutex_);
    std::deque<Letter>& letters = box(from, to);
    sleep(lock, to, {{from, kAnyTag}});
    if (letters.empty()) {
      fail_peer(from, phase, has_left(from) ? "it has returned" : "another rank failed");
    }
    if (letters.front().tag != phase.tag)
      fail_peer(from, phase, "it sent a message of phase " + std::to_string(letters.front().tag));
    Bytes bytes = std::move(letters.front().bytes);
    letters.pop_front();
    return bytes;
  }

  void leave(int rank, std::exception_ptr thrown) {
    const std::lock_guard lock(mutex_);
    if (thrown_ == nullptr) thrown_ = std::move(thrown);
    states_[static_cast<std::size_t>(rank)].left = true;
    find_deadlock();
    changed_.notify_all();
  }

  // Gives what has come; true if anything has.
  bool collect(int rank, std::vector<Inbound*>& awaited) {
    const std::lock_guard lock(mutex_);
    return collect_locked(rank, awaited);
  }

  // As collect, but waits until something has come.
  void await(int rank, std::vector<Inbound*>& awaited) {
    std::unique_lock lock(mutex_);
    std::vector<Wanted> wanted;
    for (const Inbound* message : awaited) wanted.push_back({message->from, message->phase.tag});
    sleep(lock, rank, wanted);
    if (collect_locked(rank, awaited)) return;
    for (const Inbound* message : awaited)
      if (thrown_ != nullptr || has_left(message->from))
        fail_peer(message->from, message->phase,
                  has_left(message->from) ? "it has returned" : "another rank failed");
  }

  // After all ranks have left: throws what was thrown, or for a message that nobody took.
  void check() const {
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
    for (const auto& letters : boxes_) GM_CHECK(letters.empty(), "a message was never received");
  }

 private:
  static constexpr int kAnyTag = -1;
  struct Wanted {
    int from;
    int tag;
  };
  struct State {
    bool left = false;
    std::vector<Wanted> waits_for;  // any of them; empty: does not wait
  };

  bool has_left(int rank) const { return states_[static_cast<std::size_t>(rank)].left; }

  // The first letter of that tag, or the end.
  std::deque<Letter>::iterator find(int from, int to, int tag) {
    std::deque<Letter>& letters = box(from, to);
    return std::find_if(letters.begin(), letters.end(),
                        [&](const Letter& letter) { return tag == kAnyTag || letter.tag == tag; });
  }

  bool can_go_on(int rank, const std::vector<Wanted>& wanted) {
    return std::any_of(wanted.begin(), wanted.end(), [&](const Wanted& w) {
      return find(w.from, rank, w.tag) != box(w.from, rank).end() || has_left(w.from);
    });
  }

  void sleep(std::unique_lock<std::mutex>& lock, int rank, const std::vector<Wanted>& wanted) {
    State& state = states_[static_cast<std::size_t>(rank)];
    state.waits_for = wanted;
    find_deadlock();
    changed_.wait(lock, [&] { return thrown_ != nullptr || can_go_on(rank, wanted); });
    state.waits_for.clear();
  }

  bool collect_locked(int rank, std::vector<Inbound*>& awaited) {
    return std::erase_if(awaited, [&](Inbound* message) {
             const auto letter = find(message->from, rank, message->phase.tag);
             if (letter == box(message->from, rank).end()) return false;
             message->bytes = std::move(letter->bytes);
             box(message->from, rank).erase(letter);
             return message->done = true;
           }) > 0;
  }

  // All that are left wait, and nobody can end another's wait.
  void find_deadlock() {
    bool anyone = false;
    for (int rank = 0; rank < ranks_; ++rank) {
      const State& state = states_[static_cast<std::size_t>(rank)];
      if (state.left) continue;
      if (state.waits_for.empty() || can_go_on(rank, state.waits_for)) return;
      anyone = true;
    }
    if (!anyone || thrown_ != nullptr) return;
    thrown_ = std::make_exception_ptr(
        Error(ErrorCategory::kInternal, "deadlock: all ranks wait for each other"));
    changed_.notify_all();
  }

  [[noreturn]] static void fail_peer(int from, const Phase& phase, const std::string& why) {
    fail(ErrorCategory::kPeer,
         {"waiting for rank " + std::to_string(from) + " (" + to_string(phase) + "): " + why, "",
          "", ""});
  }
  std::deque<Letter>& box(int from, int to) {
    return boxes_[static_cast<std::size_t>(from) * static_cast<std::size_t>(ranks_) +
                  static_cast<std::size_t>(to)];
  }

  int ranks_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::deque<Letter>> boxes_;  // [from, to]
  std::vector<State> states_;              // [ranks]
  std::exception_ptr thrown_;
};

class ThreadTransport final : public Transport {
 public:
  ThreadTransport(Group& group, int rank) : group_(group), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return group_.ranks(); }

  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override {
    for (const OutgoingMessage& message : out) {
      GM_CHECK(message.to != rank_ && message.to >= 0 && message.to < size(), "receiver");
      group_.post(rank_, message.to,
                  {phase.tag, Bytes(message.bytes.begin(), message.bytes.end())});
    }
    std::vector<IncomingMessage> in;
    for (const int rank : from) in.push_back({rank, group_.take(rank, rank_, phase)});
    return in;
  }

  void begin_send(Outbound& message) override {
    group_.post(rank_, message.to,
                {message.phase.tag, Bytes(message.bytes.begin(), message.bytes.end())});
    message.done = true;
  }
  void begin_receive(Inbound& message) override { awaited_.push_back(&message); }
  void poll() override { group_.collect(rank_, awaited_); }
  void wait() override {
    if (!awaited_.empty()) group_.await(rank_, awaited_);
  }

 private:
  Group& group_;
  int rank_;
  std::vector<Inbound*> awaited_;
};

}  // namespace

void run_ranks(int ranks, const std::function<void(Transport&)>& body) {
  Group group(ranks);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    threads.emplace_back([&group, &body, rank] {
      std::exception_ptr thrown;
      try {
        ThreadTransport transport(group, rank);
        body(transport);
      } catch (...) {
        thrown = std::current_exception();
      }
      group.leave(rank, std::move(thrown));
    });
  }
  for (std::thread& thread : threads) thread.join();
  group.check();
}

}  // namespace gracemoe
