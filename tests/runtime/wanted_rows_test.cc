// The last layer's feed-forward only for rows whose logits are wanted, and int8 weights: the same
// logits on any ranks, recorded or not.
#include <gtest/gtest.h>

#include "support/demo.h"
#include "support/rank_runs.h"

namespace gracemoe {
namespace {

std::vector<Request> prompts() {
  std::vector<Request> requests;
  for (std::uint64_t id = 0; id < 5; ++id) {
    requests.push_back({id, {}, 3});
    for (int i = 0; i < 7 + static_cast<int>(id) * 9; ++i)
      requests.back().prompt.push_back((i * 37 + static_cast<int>(id) * 101) % 1000);
  }
  return requests;
}

// Prompts in chunks: there are steps without a wanted row.
Outcome run(const DeploymentOptions& options, const Topology& topology) {
  return run_on_ranks(options, topology, prompts(), 16);
}

std::int64_t load_of(const Outcome& outcome, std::size_t layer) {
  std::int64_t load = 0;
  for (const auto& device : outcome.statistics.layers[layer]) load += device.load;
  return load;
}

TEST(WantedRows, TheLastLayerComputesNoOthersAndLogitsStayTheSame) {
  DeploymentOptions recording = demo_options(false);
  recording.record_routing = true;
  const Outcome want = run(recording, Topology::grid(1, 1));
  const std::size_t last = want.statistics.layers.size() - 1;
  ASSERT_GT(last, 0u);
  EXPECT_EQ(load_of(want, last), load_of(want, 0));
  for (const char* topology : {"1x1", "1x2", "2,1", "2x2"}) {
    const Outcome got = run(demo_options(false), Topology::parse(topology));
    expect_same(got, want, topology);
    EXPECT_EQ(load_of(got, 0), load_of(want, 0));
    // 5 requests: three tokens are drawn for each, and each draw wants one row.
    EXPECT_EQ(load_of(got, last) * (7 + 16 + 25 + 34 + 43 + 5 * 2), load_of(got, 0) * 15);
    std::int64_t tokens = 0;
    for (const DeviceStatistics& device : got.statistics.devices) tokens += device.tokens;
    EXPECT_EQ(tokens, 7 + 16 + 25 + 34 + 43 + 5 * 2);
  }
}

TEST(Int8Weights, TheSameLogitsOnAnyRanksAndHalfTheMemory) {
  DeploymentOptions options = demo_options(false);
  const std::int64_t bytes =
      run(options, Topology::grid(1, 1)).statistics.devices[0].resident_expert_bytes;
  options.cpu.weights = "int8";
  const Outcome want = run(options, Topology::grid(1, 1));
  EXPECT_LT(want.statistics.devices[0].resident_expert_bytes, bytes * 53 / 100);
  for (const char* topology : {"2x2", "2,1"})
    expect_same(run(options, Topology::parse(topology)), want, topology);
}

}  // namespace
}  // namespace gracemoe
