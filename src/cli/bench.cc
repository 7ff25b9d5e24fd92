// gracemoe bench: the benchmarks.
#include "cli/bench.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr double kLeastRate = 1e5, kMostRate = 1e11;  // as lab/run's

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// A whole number from the environment; 0 where it is none.
std::int64_t number_in(std::string_view text) {
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  return error == std::errc() && at == end ? value : 0;
}

}  // namespace

double parse_rate(const std::string& text) {
  if (text == "none") return 0;
  static constexpr std::array kUnits{std::pair{"kbit", 1e3}, std::pair{"mbit", 1e6},
                                     std::pair{"gbit", 1e9}};
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  for (const auto& [name, factor] : kUnits)
    if (error == std::errc() && std::string(unit, end) == name && value * factor >= kLeastRate &&
        value * factor <= kMostRate)
      return value * factor;
  fail_usage(
      {"--rate", "'" + text + "'", "100kbit to 100gbit such as 100mbit or 2.5gbit, or none", ""});
}

double line_rate(const std::string& given) {
  if (!given.empty()) return parse_rate(given);
  const std::string_view bits = variable("LAB_RATE_BITS");
  if (bits.empty() || bits == "0") return 0;
  const auto value = static_cast<double>(number_in(bits));
  const std::int64_t links = variable("LAB_RAILS") == "1" ? number_in(variable("LAB_DEVICES")) : 1;
  if (links < 1)
    fail_usage({"LAB_DEVICES", "'" + std::string(variable("LAB_DEVICES")) + "'",
                "devices of a node, at least 1, where LAB_RAILS is 1", "give --rate"});
  if (value >= kLeastRate && value <= kMostRate) return value * static_cast<double>(links);
  fail_usage({"LAB_RATE_BITS", "'" + std::string(bits) + "'",
              "bits a second, 100000 to 100000000000, or 0", "unset it, or give --rate"});
}

void add_rate_argument(CLI::App& command, std::string& rate) {
  command.add_option("--rate", rate,
                     "line rate of a node's link to the others (of all its links together), each "
                     "way, such as 100mbit, or none: for the bound on the exchange's time "
                     "(default: lab/run's)");
}

void add_bench(CLI::App& app, Action& action) {
  CLI::App* bench =
      app.add_subcommand("bench", "Benchmarks of the whole, of its exchange and of computing");
  bench->require_subcommand(1);
  add_bench_ladder(*bench, action);
  add_bench_exchange(*bench, action);
  add_bench_compute(*bench, action);
}

}  // namespace gracemoe
