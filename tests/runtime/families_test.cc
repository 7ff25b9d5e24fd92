// Every architecture gives one rank's answers, bit for bit, on any number of ranks and under every
// kind of plan: dense layers, shared experts, latent attention and all.
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "base/hash.h"
#include "plan/contiguous.h"
#include "planner/planner.h"
#include "runtime/footprint.h"
#include "runtime/golden_check.h"
#include "support/demo.h"
#include "support/rank_runs.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

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

DeploymentOptions options_of(const std::string& model) {
  DeploymentOptions options;
  options.model = test_data(model);
  options.record_routing = true;
  return options;
}

class Families : public testing::TestWithParam<const char*> {};

TEST_P(Families, SameAnswersOnAnyRanksUnderAnyPlan) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  const Outcome want = run_on_ranks(options_of(model), Topology::grid(1, 1), requests, 512);
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
      expect_same(run_on_ranks(options, topology, requests, 512), want,
                  std::string(shape) + " " + preset);
    }
  }
}

// Every expert on one to three devices, drawn.
Plan random_plan(const PlanTarget& target, std::uint64_t seed) {
  Plan plan = contiguous_plan(target);
  const auto devices = static_cast<std::uint64_t>(target.topology.devices());
  std::uint64_t draws = 0;
  for (LayerPlan& layer : plan.layers) {
    for (auto& instances : layer.experts) {
      std::set<int> on;
      for (std::uint64_t copies = 1 + hash_combine(seed, draws++) % 3; copies > 0; --copies)
        on.insert(static_cast<int>(hash_combine(seed, draws++) % devices));
      instances.clear();
      for (const int device : on) instances.push_back({device, 1.0});
    }
  }
  return plan;
}

// All rows' choices, weights and logits, not only of those that tokens are drawn from: sums of a
// token's experts must come out the same whoever makes which part of them.
TEST_P(Families, SameRowsUnderRandomPlans) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  DeploymentOptions options = options_of(model);
  const Outcome want =
      run_on_ranks(options, Topology::grid(1, 1), requests, 512, Logits::kEveryRow);
  const ModelConfig config = read_model_config(options.model);
  for (const char* shape : {"2,1", "2x2"}) {
    const Topology topology = Topology::parse(shape);
    const PlanTarget target{"", "", config.experts, config.top_k, want.trace.layers, topology};
    for (std::uint64_t seed = 0; seed < 12; ++seed) {
      options.made_plan = std::make_shared<const Plan>(random_plan(target, seed));
      expect_same(run_on_ranks(options, topology, requests, 512, Logits::kEveryRow), want,
                  std::string(shape) + " seed " + std::to_string(seed));
    }
  }
}

TEST_P(Families, AnyCutGivesTheSameLogits) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  DeploymentOptions options = options_of(model);
  const Outcome want = run_on_ranks(options, Topology::grid(1, 1), requests, 512);
  for (const int max_rows : {1, 7, 30})
    expect_same(run_on_ranks(options, Topology::grid(1, 1), requests, max_rows), want,
                std::to_string(max_rows) + " rows a step");
  options.cpu.threads = 2;
  expect_same(run_on_ranks(options, Topology::grid(1, 1), requests, 512), want, "two threads");
}

TEST_P(Families, ReferenceBackendExactlyToo) {
  const std::string model = GetParam();
  const std::vector<Request> requests = prompts(model);
  DeploymentOptions options = options_of(model);
  options.reference_backend = true;
  options.reduction = Reduction::kExact;
  const Outcome want = run_on_ranks(options, Topology::grid(1, 1), requests, 512);
  expect_same(run_on_ranks(options, Topology::grid(2, 1), requests, 9), want, "2x1");
}

INSTANTIATE_TEST_SUITE_P(Models, Families, testing::ValuesIn(kTinyModels),
                         [](const auto& param_info) { return std::string(param_info.param); });

std::int64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::int64_t pages = 0, resident = 0;
  file >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

// What inspect says is what the kernel counts: (kv_lora_rank + qk_rope) x layers x element size a
// token.
TEST(CompressedCache, IsAsLargeInMemory) {
  const auto transport = make_local_transport();
  DeploymentOptions options = options_of("deepseek_v2_tiny");
  Deployment deployment(options, Topology::grid(1, 1), *transport);
  constexpr int kPositions = 200'000;
  const std::int64_t before = resident_bytes();
  const KvCache cache = deployment.model().make_cache(kPositions);
  const auto taken = static_cast<double>(resident_bytes() - before);
  const double told = static_cast<double>(cache_bytes(deployment.config(), 2)) * kPositions;
  EXPECT_EQ(told, (32.0 + 8) * 3 * 2 * kPositions);
  EXPECT_GT(taken, 0.97 * told);
  EXPECT_LT(taken, 1.2 * told);  // the address sanitizer keeps a byte for eight
}

// A position takes (kv_rank + rope_dim) elements a layer and no more.
TEST(CompressedCache, TakesOneLatentAndOneKeyAPosition) {
  const auto transport = make_local_transport();
  for (const char* model : kTinyModels) {
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
