// gracemoe bench: benchmarks.
#include "cli/bench.h"

namespace gracemoe {

void add_bench(CLI::App& app, Action& action) {
  CLI::App* bench = app.add_subcommand("bench", "Benchmarks");
  bench->require_subcommand(1);
  add_bench_compute(*bench, action);
}

}  // namespace gracemoe
