// The benchmarks of `gracemoe bench`, and what they share.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "cli/commands.h"

namespace gracemoe {

void add_bench_compute(CLI::App& bench, Action& action);
void add_bench_ladder(CLI::App& bench, Action& action);
void add_bench_exchange(CLI::App& bench, Action& action);

// "100mbit", "2.5gbit", "500kbit", or a plain number of bits a second; "" and "none": 0, unknown.
// Error (kUsage) on others.
double parse_rate(const std::string& text);
// --rate; the lab's own where it runs inside lab/run and none is given.
void add_rate_argument(CLI::App& command, std::string& rate);

}  // namespace gracemoe
