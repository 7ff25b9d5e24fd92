#include "support/thread_transport.h"

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
        waits_for_(static_cast<std::size_t>(ranks), kNobody) {}

  int ranks() const { return ranks_; }

  void post(int from, int to, Letter letter) {
    const std::lock_guard lock(mutex_);
    box(from, to).push_back(std::move(letter));
    changed_.notify_all();
  }

  Bytes take(int from, int to, const Phase& phase) {
    std::unique_lock lock(mutex_);
    std::deque<Letter>& letters = box(from, to);
    waits_for_[static_cast<std::size_t>(to)] = from;
    find_deadlock();
    changed_.wait(lock, [&] { return !letters.empty() || thrown_ != nullptr || has_left(from); });
    waits_for_[static_cast<std::size_t>(to)] = kNobody;
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
    waits_for_[static_cast<std::size_t>(rank)] = kLeft;
    find_deadlock();
    changed_.notify_all();
  }

  // After all ranks have left: throws what was thrown, or for a message that nobody took.
  void check() const {
    if (thrown_ != nullptr) std::rethrow_exception(thrown_);
    for (const auto& letters : boxes_) GM_CHECK(letters.empty(), "a message was never received");
  }

 private:
  static constexpr int kNobody = -1;
  static constexpr int kLeft = -2;

  bool has_left(int rank) const { return waits_for_[static_cast<std::size_t>(rank)] == kLeft; }

  // All that are left wait, and nobody can end another's wait.
  void find_deadlock() {
    bool anyone = false;
    for (int rank = 0; rank < ranks_; ++rank) {
      const int from = waits_for_[static_cast<std::size_t>(rank)];
      if (from == kLeft) continue;
      if (from == kNobody || !box(from, rank).empty() || has_left(from)) return;
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
  std::vector<int> waits_for_;             // [ranks] a rank, kNobody or kLeft
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

 private:
  Group& group_;
  int rank_;
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
