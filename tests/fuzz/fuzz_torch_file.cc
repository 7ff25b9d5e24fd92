// Dumps of SGLang's recorder: zip, pickle, tensors, records.
#include "fuzz/fuzz_target.h"
#include "interop/sglang_recorder.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  expect_errors_only([&] {
    std::vector<TorchFile> files;
    files.emplace_back(std::as_bytes(std::span(data, size)), "input");
    if (!recorder_has_tokens(files)) {
      read_recorder_loads(files, {});
      return;
    }
    const RoutingTrace trace = read_recorder_tokens(files, {}, 0).tokens.trace;
    expect(trace.experts.size() == trace.sequence.size() * static_cast<std::size_t>(trace.layers) *
                                       static_cast<std::size_t>(trace.top_k),
           "a trace without its shape");
  });
  return 0;
}
