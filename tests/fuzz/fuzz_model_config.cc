// config.json of a model.
#include "fuzz/fuzz_target.h"
#include "model/config_parts.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace gracemoe;
  expect_errors_only([&] {
    const ModelConfig c = parse_model_config(parse_json(as_text(data, size), "input"), "input");
    expect(!c.moe_layers.empty() && c.moe_layers.back() < c.layers, "a layer beyond the last");
    expect(c.top_k >= 1 && c.top_k <= c.experts, "more experts chosen than there are");
    expect(c.head_dim > 0 && cache_elements(c) > 0, "heads without a width");
    expect(c.experts % c.expert_groups == 0, "groups of unequal size");
  });
  return 0;
}
