// Ends this process, and by that the job, where a collective call of MPI does not come back: those
// of starting up and ending have no time-out of their own, and cannot be left otherwise.
#pragma once
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>

namespace gracemoe {

class Watchdog {
 public:
  explicit Watchdog(double timeout_seconds);  // 0: never
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;
  ~Watchdog();
  // From here on, for up to the timeout, something else is under way: "MPI_Init", static text. Then
  // one line on standard error says so, and who is missing as far as this machine shows it, and the
  // process ends with code 1 without cleaning up. Ranks other than 0 wait a little longer, so that
  // one rank speaks; `later`: so many such delays more, where another watch is to speak first.
  void watch(const char* doing, int later = 0);
  void rest();

  // "rank 1 (process 17, sh) on this machine is stopped", "" where nothing is known.
  static std::string missing_here();

 private:
  void run();

  double timeout_;
  std::mutex mutex_;
  std::condition_variable changed_;
  const char* doing_ = nullptr;  // null: nothing
  double until_ = 0;             // of wall_seconds()
  bool over_ = false;
  std::thread thread_;
};

}  // namespace gracemoe
