#include "base/quantities.h"

#include <array>
#include <cmath>
#include <cstdio>

#include "base/progress.h"

namespace gracemoe {

std::string counted(std::int64_t count, const std::string& noun, const std::string& plural) {
  return with_commas(count) + " " + (count == 1 ? noun : plural.empty() ? noun + "s" : plural);
}

std::string plain_number(double value) {
  std::string text = std::to_string(value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text;
}

std::string short_seconds(double seconds) {
  if (!(std::abs(seconds) < 59.95)) return human_seconds(seconds);
  static constexpr std::array<const char*, 4> kUnits{"s", "ms", "us", "ns"};
  std::size_t unit = 0;
  while (seconds != 0 && std::abs(seconds) < 0.9995 && unit + 1 < kUnits.size()) {
    seconds *= 1000;
    ++unit;
  }
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.3g %s", seconds, kUnits[unit]);
  return text.data();
}

}  // namespace gracemoe
