// The engine on one rank against outputs that an independent float32 implementation gave on the
// same bf16 weights. On several ranks, as processes: golden_ranks.cc.
#include <gtest/gtest.h>

#include "runtime/golden_check.h"

namespace gracemoe {
namespace {

class Golden : public testing::TestWithParam<GoldenCase> {};

TEST_P(Golden, LogitsChoicesWeightsAndTextsAreTheReferences) {
  const GoldenCase& c = GetParam();
  const auto transport = make_local_transport();
  const GoldenRun run = run_golden(c, nullptr, Topology::grid(1, 1), *transport);
  const double logits_rms = expect_logits(c, run);
  expect_choices(c, run);
  if (!c.trained) expect_weights(c, run);  // the demo model's golden file has none
  expect_continuations(c, run, logits_rms);
}

std::vector<GoldenCase> all_cases() {
  std::vector<GoldenCase> cases;
  for (const bool reference : {true, false}) {
    cases.push_back(demo_case(reference));
    for (const char* model : kTinyModels) cases.push_back(tiny_case(model, reference));
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::ValuesIn(all_cases()),
                         [](const auto& param_info) { return param_info.param.name; });

}  // namespace
}  // namespace gracemoe
