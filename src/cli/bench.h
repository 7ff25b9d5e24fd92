// The benchmarks of `gracemoe bench`.
#pragma once
#include <CLI/CLI.hpp>

#include "cli/commands.h"

namespace gracemoe {

void add_bench_compute(CLI::App& bench, Action& action);

}  // namespace gracemoe
