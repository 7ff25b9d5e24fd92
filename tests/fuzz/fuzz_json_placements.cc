// Placements and loads in JSON and JSON lines, each input by every reader; what is read reads back
// from its own text.
#include "fuzz/fuzz_target.h"
#include "interop/formats.h"
#include "interop/sglang.h"
#include "interop/vllm.h"
#include "interop/vllm_ascend.h"

namespace {

using namespace gracemoe;

const PlacementHints kHints{.num_experts = 0, .layers = 2, .choice = {}};

template <typename Read, typename Write>
void there_and_back(const std::string& text, Read read, Write write) {
  expect_errors_only([&] {
    const SlotPlacement placement = read(text);
    const std::string again = write(placement);
    expect(read(again).layers == placement.layers, "another placement reads back");
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string text = as_text(data, size);
  expect_errors_only([&] { detect_text(text, "input"); });
  there_and_back(
      text, [](const std::string& t) { return read_sglang_placement(t, "input", kHints); },
      [](const SlotPlacement& p) { return sglang_placement_text(p, p.numbers); });
  there_and_back(
      text, [](const std::string& t) { return read_vllm_mapping(t, "input", kHints); },
      vllm_mapping_text);
  there_and_back(
      text, [](const std::string& t) { return read_vllm_expert_map(t, "input", kHints); },
      vllm_expert_map_text);
  there_and_back(
      text, [](const std::string& t) { return read_vllm_expert_ranks(t, "input", kHints); },
      [](const SlotPlacement& p) { return vllm_expert_ranks_text(p, "input"); });
  there_and_back(
      text, [](const std::string& t) { return read_vllm_ascend(t, "input", kHints); },
      vllm_ascend_text);
  expect_errors_only([&] {
    Loads loads = read_sglang_counts(text, "input", {});
    make_whole(loads.statistics);
    sglang_counts_text(loads.statistics, loads.numbers);
  });
  expect_errors_only([&] { read_vllm_loads(text, "input"); });
  return 0;
}
