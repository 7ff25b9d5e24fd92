// The engine on one rank against outputs that an independent float32 implementation gave on the
// same bf16 weights. On several ranks, as processes: golden_ranks.cc.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <ostream>

#include "compute/cpu/isa.h"
#include "runtime/golden_check.h"

namespace gracemoe {
namespace {

// A case, and the instruction set of its backend where that is the cpu's.
struct GoldenOnIsa {
  GoldenCase golden;
  std::optional<Isa> isa;

  std::string name() const {
    std::string name = golden.name;
    if (isa) name += std::string("_") + isa_name(*isa);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
  }
};
std::ostream& operator<<(std::ostream& out, const GoldenOnIsa& c) {
  return out << c.name();
}

class Golden : public testing::TestWithParam<GoldenOnIsa> {};

TEST_P(Golden, LogitsChoicesWeightsAndTextsAreTheReferences) {
  const auto& [c, isa] = GetParam();
  if (isa && !isa_available(*isa)) GTEST_SKIP() << "this machine has no " << isa_name(*isa);
  const auto transport = make_local_transport();
  const GoldenRun run = run_golden(c, nullptr, Topology::grid(1, 1), *transport);
  const double logits_rms = expect_logits(c, run);
  expect_choices(c, run);
  if (!c.trained) expect_weights(c, run);  // the demo model's golden file has none
  expect_continuations(c, run, logits_rms);
}

std::vector<GoldenOnIsa> all_cases() {
  std::vector<GoldenOnIsa> cases;
  for (const bool reference : {true, false}) {
    std::vector<GoldenCase> models = {demo_case(reference)};
    for (const char* model : kTinyModels) models.push_back(tiny_case(model, reference));
    for (GoldenCase& golden : models) {
      if (reference) {
        cases.push_back({golden, std::nullopt});
        continue;
      }
      for (const Isa isa : {Isa::kAvx2, Isa::kAvx512, Isa::kAvx512Bf16}) {
        golden.isa = isa_name(isa);
        cases.push_back({golden, isa});
      }
    }
  }
  return cases;
}

INSTANTIATE_TEST_SUITE_P(Models, Golden, testing::ValuesIn(all_cases()),
                         [](const auto& param_info) { return param_info.param.name(); });

}  // namespace
}  // namespace gracemoe
