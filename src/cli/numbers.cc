#include "cli/numbers.h"

#include <fmt/format.h>

#include <cmath>
#include <cstdlib>
#include <functional>

namespace gracemoe {
namespace {

// `holds` is asked of finite numbers only.
CLI::Validator number_check(const std::string& wanted, const std::string& shown,
                            const std::function<bool(double)>& holds) {
  return CLI::Validator(
      [=](const std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        const bool good = !text.empty() && *end == '\0' && std::isfinite(value) && holds(value);
        return good ? std::string() : fmt::format("got '{}', wanted {}", text, wanted);
      },
      shown);
}

}  // namespace

CLI::Validator finite_number() {
  return number_check("a number", "", [](double) { return true; });
}
CLI::Validator number_from(double least) {
  return number_check(fmt::format("a number of at least {}", least), fmt::format(">= {}", least),
                      [=](double value) { return value >= least; });
}
CLI::Validator number_above(double limit) {
  return number_check(fmt::format("a number above {}", limit), fmt::format("> {}", limit),
                      [=](double value) { return value > limit; });
}
CLI::Validator number_between(double least, double most) {
  return number_check(fmt::format("a number from {} to {}", least, most),
                      fmt::format("in [{} - {}]", least, most),
                      [=](double value) { return value >= least && value <= most; });
}

}  // namespace gracemoe
