// Time of encoding: prose, and runs of one unit of 1/4, 1/2 and 1 MB, which must take times in
// proportion. Checks that every text comes back. usage: bench_tokenizer [TOKENIZER_JSON]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "base/clock.h"
#include "base/files.h"
#include "metrics/machine.h"
#include "model/tokenizer.h"

namespace {

using gracemoe::Tokenizer;

// Seconds of the fastest of three; the text must come back.
double seconds_of(const Tokenizer& tokenizer, const std::string& text) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    const double start = gracemoe::wall_seconds();
    const std::vector<int> ids = tokenizer.encode(text, false);
    best = std::min(best, gracemoe::wall_seconds() - start);
    if (tokenizer.decode(ids, false) != text) {
      std::fprintf(stderr, "bench_tokenizer: a text does not come back\n");
      std::exit(1);
    }
  }
  return best;
}

std::string run_of(const std::string& unit, std::size_t size) {
  std::string text;
  while (text.size() < size) text += unit;
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string source = GRACEMOE_SOURCE_DIR;
  const Tokenizer tokenizer(argc > 1 ? argv[1] : source + "/models/gracemoe-demo/tokenizer.json");
  const gracemoe::MachineInfo machine = gracemoe::this_machine();
  std::printf("%s, %d cores\n", machine.cpu.c_str(), machine.cores);
  const std::string prose = gracemoe::read_file(source + "/data/text/prose.txt");
  std::printf("%-10s %8.2f MB/s\n", "prose",
              static_cast<double>(prose.size()) / 1e6 / seconds_of(tokenizer, prose));
  for (const char* unit : {"a", " ", "0", "=", "the", "\xe4\xb8\xad"}) {
    std::printf("'%s'%*s", unit, 7, "");
    for (const std::size_t size : {250'000, 500'000, 1'000'000})
      std::printf(" %7.1f ms", 1e3 * seconds_of(tokenizer, run_of(unit, size)));
    std::printf("   for 1/4, 1/2, 1 MB\n");
  }
  return 0;
}
