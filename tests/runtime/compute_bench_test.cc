#include "runtime/compute_bench.h"

#include <gtest/gtest.h>

#include "model/presets.h"
#include "support/demo.h"

namespace gracemoe {
namespace {

// Weights of several pages a matrix, that come from no file.
TEST(ComputeBench, RandomWeightsStayWhatTheyWere) {
  ModelConfig config = read_model_config(test_data("olmoe_tiny"));
  config.hidden = 256;
  config.expert_width = 128;
  config.vocab = 512;
  Checkpoint checkpoint = Checkpoint::random(largest_tensor(config), 1);
  ComputeBenchOptions options;
  options.cpu.threads = 2;
  options.batches = {1, 3};
  options.prefill_rows = 12;
  options.seconds = 0;
  const ComputeBenchResult result = bench_compute(config, checkpoint, options);
  EXPECT_LT(result.reference_error, 0.1) << "verified against the float32 reference";
  ASSERT_EQ(result.phases.size(), 4U);
  for (const ComputePhase& phase : result.phases) EXPECT_GT(phase.work.weight_bytes, 0);
}

}  // namespace
}  // namespace gracemoe
