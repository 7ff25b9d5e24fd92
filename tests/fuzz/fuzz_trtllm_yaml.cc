// TensorRT-LLM's placements; what is read reads back from its own text.
#include "fuzz/fuzz_target.h"
#include "interop/tensorrt_llm.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  expect_errors_only([&] {
    const SlotPlacement placement = read_trtllm_placement(as_text(data, size), "input", {});
    const std::string text = trtllm_placement_text(placement, placement.numbers);
    expect(read_trtllm_placement(text, "its text", {}).layers == placement.layers,
           "a placement's text reads back otherwise");
  });
  return 0;
}
