// Every architecture gives one rank's answers, bit for bit, on any number of ranks and under every
// kind of plan: dense layers, shared experts, latent attention and all.
#include <gtest/gtest.h>

#include "planner/planner.h"
#include "runtime/collect.h"
#include "runtime/text_windows.h"
#include "support/demo.h"
#include "support/temp_dir.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

const char* const kModels[] = {"olmoe_tiny", "qwen3_moe_tiny", "qwen3_moe_tiny_tied",
                               "deepseek_v2_tiny", "deepseek_v2_tiny_q"};

struct Outcome {
  std::vector<Completion> completions;
  RoutingTrace trace;
};

// The golden file's two prompts, and shorter ones cut from them, so that sequences differ in
// length.
std::vector<Request> prompts(const std::string& model) {
  const SafetensorsFile golden(test_data(model + "_golden.safetensors"));
  const TensorView& ids = golden.tensor("input_ids");
  const auto length = static_cast<std::size_t>(ids.shape[1]);
  const auto values = ids.as<std::int64_t>();
  std::vector<Request> requests;
  for (const std::size_t cut : {length, length - 5, std::size_t{3}}) {
    for (std::size_t s = 0; s < 2; ++s) {
      const auto row = values.subspan(s * length, cut);
      requests.push_back({requests.size(), {row.begin(), row.end()}, 16});
    }
  }
  return requests;
}

Outcome run(const DeploymentOptions& options, const Topology& topology,
            const std::vector<Request>& requests, int max_rows) {
  Outcome outcome;
  run_ranks(topology.devices(), [&](Transport& transport) {
    Deployment deployment(options, topology, transport);
    RunOptions how;
    how.ignore_eos = true;
    how.logit_hashes = true;
    how.max_rows = max_rows;
    RunTimes times;
    const auto mine =
        run_requests(deployment.model(), transport,
                     requests_of(requests, transport.rank(), transport.size()), how, times);
    auto completions = collect_completions(transport, mine);
    auto trace = collect_trace(deployment, "mixed");
    if (transport.rank() == 0) outcome = {std::move(completions), std::move(trace)};
  });
  return outcome;
}

DeploymentOptions options_of(const std::string& model) {
  DeploymentOptions options;
  options.model = test_data(model);
  options.record_routing = true;
  return options;
}

void expect_same(const Outcome& got, const Outcome& want, const std::string& name) {
  ASSERT_EQ(got.completions.size(), want.completions.size()) << name;
  for (std::size_t i = 0; i < want.completions.size(); ++i) {
    EXPECT_EQ(got.completions[i].tokens, want.completions[i].tokens) << name << " prompt " << i;
    EXPECT_EQ(got.completions[i].logit_hashes, want.completions[i].logit_hashes)
        << name << " prompt " << i;
  }
  EXPECT_TRUE(got.trace.experts == want.trace.experts) << name;
  EXPECT_TRUE(got.trace.weights == want.trace.weights) << name;
}

class Families : public testing::TestWithParam<const char*> {};

TEST_P(Families, SameAnswersOnAnyRanksUnderAnyPlan) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  const Outcome want = run(options_of(model), Topology::grid(1, 1), requests, 512);
  const TempDir folder;
  for (const char* shape : {"1x1", "2x1", "2,1", "2x2"}) {
    const Topology topology = Topology::parse(shape);
    for (const char* preset : {"contiguous", "grace", "grace+"}) {
      DeploymentOptions options = options_of(model);
      options.plan = folder / "plan.json";
      PlannerOptions how = preset_by_name(preset);
      how.threads = 1;
      how.memory_budget = 1.5;
      how.effort = 0.02;  // any plan will do
      write_plan(options.plan, make_plan(count_statistics(want.trace), topology, how));
      expect_same(run(options, topology, requests, 512), want, std::string(shape) + " " + preset);
    }
  }
}

TEST_P(Families, AnyCutGivesTheSameLogits) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  DeploymentOptions options = options_of(model);
  const Outcome want = run(options, Topology::grid(1, 1), requests, 512);
  for (const int max_rows : {1, 7, 30})
    expect_same(run(options, Topology::grid(1, 1), requests, max_rows), want,
                std::to_string(max_rows) + " rows a step");
  options.cpu.threads = 2;
  expect_same(run(options, Topology::grid(1, 1), requests, 512), want, "two threads");
}

TEST_P(Families, ReferenceBackendExactlyToo) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  DeploymentOptions options = options_of(model);
  options.reference_backend = true;
  options.reduction = Reduction::kExact;
  const Outcome want = run(options, Topology::grid(1, 1), requests, 512);
  expect_same(run(options, Topology::grid(2, 1), requests, 9), want, "2x1");
}

INSTANTIATE_TEST_SUITE_P(Models, Families, testing::ValuesIn(kModels),
                         [](const auto& param_info) { return std::string(param_info.param); });

// A position takes (kv_rank + rope_dim) elements a layer and no more.
TEST(CompressedCache, TakesOneLatentAndOneKeyAPosition) {
  const auto transport = make_local_transport();
  for (const char* model : kModels) {
    for (const bool reference : {false, true}) {
      DeploymentOptions options = options_of(model);
      options.reference_backend = reference;
      Deployment deployment(options, Topology::grid(1, 1), *transport);
      const ModelConfig& c = deployment.config();
      const std::size_t element = reference ? 4 : 2;
      EXPECT_EQ(deployment.model().make_cache(100).bytes(),
                100 * element * static_cast<std::size_t>(cache_elements(c) * c.layers));
      if (c.latent.kv_rank > 0) {
        EXPECT_EQ(cache_elements(c), 32 + 8);
      }
    }
  }
}

}  // namespace
}  // namespace gracemoe
