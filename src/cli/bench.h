// The benchmarks of `gracemoe bench`, and what they share.
#pragma once
#include <CLI/CLI.hpp>
#include <string>

#include "cli/commands.h"

namespace gracemoe {

void add_bench_compute(CLI::App& bench, Action& action);
void add_bench_ladder(CLI::App& bench, Action& action);
void add_bench_exchange(CLI::App& bench, Action& action);

// Bits a second of "100mbit", "2.5gbit", "500kbit", from 100kbit to 100gbit; "none": 0, unknown.
// Error (kUsage) on others, also on numbers without a unit.
double parse_rate(const std::string& text);
// That of the command line; where it is empty, the lab's: LAB_RATE_BITS, whole bits a second, 0 or
// not set: none; with LAB_RAILS=1, of each of a node's LAB_DEVICES links. Error (kUsage).
double line_rate(const std::string& given);
void add_rate_argument(CLI::App& command, std::string& rate);  // --rate

}  // namespace gracemoe
