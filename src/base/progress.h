// A progress bar on standard error: "profile  62% [======>   ] 9,216/14,848 tokens  812 tokens/s  7
// s left". On a terminal it redraws in place at most 10 times a second; elsewhere it prints a line
// at most every 5 seconds and one at the end; `quiet` prints nothing. Only one rank should draw.
// Not thread-safe.
#pragma once
#include <chrono>
#include <cstdint>
#include <string>

namespace gracemoe {

class ProgressBar {
 public:
  ProgressBar(std::string title, std::string unit, std::int64_t total, bool quiet);
  ~ProgressBar();  // finishes the line
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  void update(std::int64_t done);

 private:
  void draw(bool last);
  std::string title_, unit_;
  std::int64_t total_, done_ = 0;
  bool quiet_, terminal_, finished_ = false;
  std::chrono::steady_clock::time_point start_, last_draw_;
};

// "12,345" and "1.5 MB" (10^6 bytes), as used in all tables.
std::string with_commas(std::int64_t value);
std::string human_bytes(double bytes);
// "3 s", "2 min 05 s", "1 h 02 min".
std::string human_seconds(double seconds);

}  // namespace gracemoe
