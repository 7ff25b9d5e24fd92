#include "base/progress.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

namespace gracemoe {
namespace {

using std::chrono::duration;
using std::chrono::steady_clock;

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kLine = std::chrono::seconds(5);
constexpr int kBarWidth = 24;

std::string bar(double part) {
  const int full = static_cast<int>(part * kBarWidth);
  std::string text(static_cast<std::size_t>(kBarWidth), ' ');
  std::fill_n(text.begin(), full, '=');
  if (full < kBarWidth) text[static_cast<std::size_t>(full)] = '>';
  return "[" + text + "]";
}

std::string two_digits(std::int64_t value) {
  return (value < 10 ? "0" : "") + std::to_string(value);
}

}  // namespace

ProgressBar::ProgressBar(std::string title, std::string unit, std::int64_t total, bool quiet)
    : title_(std::move(title)),
      unit_(std::move(unit)),
      total_(total),
      quiet_(quiet),
      terminal_(isatty(STDERR_FILENO) == 1),
      start_(steady_clock::now()),
      last_draw_(start_) {}

ProgressBar::~ProgressBar() {
  if (!finished_) draw(true);
}

void ProgressBar::update(std::int64_t done) {
  done_ = done;
  const auto now = steady_clock::now();
  const bool due = terminal_ ? now - last_draw_ >= kRedraw : now - last_draw_ >= kLine;
  if (finished_ || !due) return;
  last_draw_ = now;
  draw(false);
}

void ProgressBar::draw(bool last) {
  finished_ = last;
  if (quiet_) return;
  const double seconds = duration<double>(steady_clock::now() - start_).count();
  const double part =
      total_ > 0 ? std::clamp(static_cast<double>(done_) / static_cast<double>(total_), 0.0, 1.0)
                 : 1;
  const double rate = seconds > 0 ? static_cast<double>(done_) / seconds : 0;
  std::array<char, 8> percent{};
  std::snprintf(percent.data(), percent.size(), "%3d%%", static_cast<int>(part * 100));
  std::string text = title_ + "  " + percent.data() + " " + bar(part) + " " + with_commas(done_) +
                     "/" + with_commas(total_) + " " + unit_ + "  " +
                     with_commas(std::llround(rate)) + " " + unit_ + "/s  ";
  if (last) {
    text += human_seconds(seconds);
  } else {
    text += rate > 0 ? human_seconds(static_cast<double>(total_ - done_) / rate) + " left" : "";
  }
  // \033[K wipes what a longer line left behind.
  text = terminal_ ? "\r" + text + "\033[K" + (last ? "\n" : "") : text + "\n";
  std::fputs(text.c_str(), stderr);
}

std::string with_commas(std::int64_t value) {
  std::string text = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t i = text.size(); i > first + 3;) {
    i -= 3;
    text.insert(i, ",");
  }
  return text;
}

std::string human_bytes(double bytes) {
  static constexpr std::array<const char*, 6> kUnits{"B", "kB", "MB", "GB", "TB", "PB"};
  std::size_t unit = 0;
  // 999.95 would print as 1000.0.
  while (std::abs(bytes) >= (unit == 0 ? 999.5 : 999.95) && unit + 1 < kUnits.size()) {
    bytes /= 1000;
    ++unit;
  }
  std::array<char, 352> text{};  // the longest double has 309 digits before the point
  std::snprintf(text.data(), text.size(), unit == 0 ? "%.0f %s" : "%.1f %s", bytes, kUnits[unit]);
  return text.data();
}

std::string human_seconds(double seconds) {
  if (!std::isfinite(seconds) || seconds > 1e9) return "more than a year";
  const std::int64_t total = std::llround(std::max(seconds, 0.0));
  if (total < 60) return std::to_string(total) + " s";
  if (total < 3600) return std::to_string(total / 60) + " min " + two_digits(total % 60) + " s";
  const std::int64_t minutes = total / 60;
  return std::to_string(minutes / 60) + " h " + two_digits(minutes % 60) + " min";
}

}  // namespace gracemoe
