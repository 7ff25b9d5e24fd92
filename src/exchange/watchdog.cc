#include "exchange/watchdog.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>

#include "base/clock.h"
#include "base/error.h"
#include "base/quantities.h"
#include "exchange/job.h"

namespace gracemoe {
namespace {

Job this_job() {
  return launched_job([](const char* name) { return std::getenv(name); });
}

[[noreturn]] void bark(const char* doing, double timeout) {
  const int rank = this_job().rank;
  const std::string missing = Watchdog::missing_here();
  const std::string line =
      "gracemoe: " + (rank < 0 ? "" : "rank " + std::to_string(rank) + ": ") +
      format_problem({std::string(doing) + " has not ended after " + plain_number(timeout) +
                          " seconds" + (missing.empty() ? "" : ": " + missing),
                      "", "",
                      "look on every machine whether a rank is stopped, swapping or has not "
                      "started; firewalls must let MPI's ports through (mpirun --mca "
                      "btl_tcp_if_include NET --mca oob_tcp_if_include NET); a slower start "
                      "needs a longer --timeout"}) +
      "\n";
  // Not through stdio: the thread that hangs may hold its locks.
  if (write(STDERR_FILENO, line.data(), line.size()) < 0) _exit(1);
  _exit(1);
}

}  // namespace

std::string Watchdog::missing_here() {
  std::string program;
  std::getline(std::ifstream("/proc/self/comm"), program);
  const Job job = this_job();
  return who_is_missing(job, job_processes(job, "/proc"), program);
}

Watchdog::Watchdog(double timeout_seconds) : timeout_(timeout_seconds) {
  if (timeout_ > 0) thread_ = std::thread([this] { run(); });
}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    over_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::watch(const char* doing, int later) {
  constexpr double kLeastDelay = 1.0, kDelayShare = 0.05;
  if (this_job().rank != 0) ++later;
  {
    const std::lock_guard lock(mutex_);
    doing_ = doing;
    until_ = wall_seconds() + timeout_ + later * std::max(kLeastDelay, kDelayShare * timeout_);
  }
  changed_.notify_one();
}

void Watchdog::rest() {
  const std::lock_guard lock(mutex_);
  doing_ = nullptr;
}

void Watchdog::run() {
  constexpr double kLongest = 3600;  // a clock adds up nothing that is too large
  std::unique_lock lock(mutex_);
  while (!over_) {
    const double left = until_ - wall_seconds();
    if (doing_ == nullptr)
      changed_.wait(lock);
    else if (left <= 0)
      bark(doing_, timeout_);
    else
      changed_.wait_for(lock, std::chrono::duration<double>(std::min(left, kLongest)));
  }
}

}  // namespace gracemoe
