// Routing traces.
#include "fuzz/fuzz_target.h"
#include "trace/routing_trace.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  static MemoryFile file;
  expect_errors_only([&] {
    const RoutingTrace trace = read_trace(file.holding(data, size));
    for (std::int64_t t = 0; t < trace.tokens(); ++t)
      for (int layer = 0; layer < trace.layers; ++layer)
        for (const auto expert : trace.chosen(t, layer))
          expect(expert < trace.num_experts, "an expert out of range");
  });
  return 0;
}
