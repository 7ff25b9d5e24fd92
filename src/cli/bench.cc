// gracemoe bench: the benchmarks.
#include "cli/bench.h"

#include <array>
#include <charconv>

#include "base/error.h"

namespace gracemoe {

double parse_rate(const std::string& text) {
  if (text.empty() || text == "none") return 0;
  static constexpr std::array kUnits{std::pair{"", 1.0}, std::pair{"bit", 1.0},
                                     std::pair{"kbit", 1e3}, std::pair{"mbit", 1e6},
                                     std::pair{"gbit", 1e9}};
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [unit, error] = std::from_chars(text.data(), end, value);
  for (const auto& [name, factor] : kUnits)
    if (error == std::errc() && value >= 0 && value < 1e15 && std::string(unit, end) == name)
      return value * factor;
  fail_usage({"--rate", "'" + text + "'", "100mbit, 2.5gbit, 500kbit, bits a second, or none", ""});
}

void add_rate_argument(CLI::App& command, std::string& rate) {
  command
      .add_option("--rate", rate,
                  "line rate of a node's link to the others, each way, such as 100mbit: for the "
                  "bound on the exchange's time (default: lab/run's)")
      ->envname("LAB_RATE_BITS");
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
