// The same answers on any number of ranks, under any plan, exchange, routing and reduction, as one
// rank gives.
#include <gtest/gtest.h>

#include <mutex>
#include <set>

#include "plan/contiguous.h"
#include "planner/planner.h"
#include "support/demo.h"
#include "support/rank_runs.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

// The golden file's 64 prompts of 48 tokens from all three texts.
std::vector<Request> prompts(int count, int max_new) {
  const SafetensorsFile golden(test_data("demo_golden.safetensors"));
  const TensorView& ids = golden.tensor("prompts");
  const auto length = static_cast<std::size_t>(ids.shape[1]);
  std::vector<Request> requests;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    const auto row = ids.as<std::int64_t>().subspan(i * length, length);
    requests.push_back({i, {row.begin(), row.end()}, max_new});
  }
  return requests;
}

// What one rank gives: 64 prompts x 32 tokens, or a shorter run for the wider sweeps.
const Outcome& one_rank(bool reference, int count, int max_new) {
  static std::map<std::tuple<bool, int, int>, Outcome> known;
  static std::mutex guard;
  const std::lock_guard lock(guard);
  Outcome& outcome = known[{reference, count, max_new}];
  if (outcome.completions.empty()) {
    DeploymentOptions options = demo_options(reference);
    options.record_routing = true;
    outcome = run_on_ranks(options, Topology::grid(1, 1), prompts(count, max_new), 512);
  }
  return outcome;
}

std::string make_plan_file(const TempDir& folder, const std::string& preset,
                           const Topology& topology) {
  const std::string path = folder / (preset + ".json");
  const RoutingTrace& trace = one_rank(false, 64, 32).trace;
  write_plan(path, make_plan(count_statistics(trace), topology,
                             preset == "grace" ? preset_grace() : preset_contiguous()));
  return path;
}

class Lossless : public testing::TestWithParam<const char*> {};

TEST_P(Lossless, SameTokensAndChoicesUnderEveryPlanExchangeAndRouting) {
  const Topology topology = Topology::parse(GetParam());
  const Outcome& all = one_rank(false, 64, 32);
  const Outcome& few = one_rank(false, 32, 16);
  const std::vector<Request> requests = prompts(64, 32), few_requests = prompts(32, 16);
  const TempDir folder;
  for (const std::string plan : {"contiguous", "grace"}) {
    DeploymentOptions options = demo_options(false);
    options.record_routing = true;
    options.plan = make_plan_file(folder, plan, topology);
    for (const ExchangeKind exchange : {ExchangeKind::kFlatPerExpert, ExchangeKind::kFlatPerDevice,
                                        ExchangeKind::kHierarchical}) {
      for (const RoutingPolicy routing :
           {RoutingPolicy::kPrimary, RoutingPolicy::kWeightedRoundRobin,
            RoutingPolicy::kTopologyAware}) {
        if (plan == "contiguous" && routing != RoutingPolicy::kPrimary)
          continue;  // no copies to choose from
        for (const Reduction reduction : {Reduction::kExact, Reduction::kFp32}) {
          options.exchange = exchange;
          options.routing = routing;
          options.reduction = reduction;
          const std::string name = plan + std::string(" ") + to_string(exchange) + " " +
                                   to_string(routing) + " " + to_string(reduction);
          // The default reduction must stand 64 prompts x 32 tokens; the other goes the same ways
          // and is given a quarter of the work.
          const bool whole = reduction == Reduction::kFp32;
          const Outcome& want = whole ? all : few;
          const Outcome got = run_on_ranks(options, topology, whole ? requests : few_requests, 512);
          expect_same(got, want, name);
        }
      }
    }
  }
}

// What is computed while rows are on the wire, and in which company, changes no bit.
TEST_P(Lossless, WhateverIsDoneMeanwhile) {
  const Topology topology = Topology::parse(GetParam());
  const Outcome& want = one_rank(false, 32, 16);
  const TempDir folder;
  DeploymentOptions options = demo_options(false);
  options.record_routing = true;
  options.plan = make_plan_file(folder, "grace", topology);
  for (const Overlap overlap : {Overlap::kNone, Overlap::kStage, Overlap::kBatch, Overlap::kAuto}) {
    for (const Intra intra : {Intra::kMpi, Intra::kShared}) {
      if (overlap == Overlap::kNone && intra == Intra::kMpi) continue;  // everywhere else here
      options.overlap = overlap;
      options.intra = intra;
      const std::string name = std::string(to_string(overlap)) + " " + to_string(intra);
      const Outcome got = run_on_ranks(options, topology, prompts(32, 16), 150);
      expect_same(got, want, name);
    }
  }
}

std::int64_t handed_over(const Outcome& outcome) {
  std::int64_t rows = 0;
  for (const auto& layer : outcome.statistics.layers)
    for (const LayerDeviceStatistics& device : layer) rows += device.rows_handed_over;
  return rows;
}

// Nor does it matter which device of a node sends a row: one prompt, whose home hands rows over,
// and many, whose homes are even.
TEST_P(Lossless, WhoeverOfTheNodeSends) {
  const Topology topology = Topology::parse(GetParam());
  const Outcome &want = one_rank(false, 32, 16), &one = one_rank(false, 1, 4);
  const TempDir folder;
  DeploymentOptions options = demo_options(false);
  options.record_routing = true;
  options.plan = make_plan_file(folder, "grace", topology);
  options.intra = Intra::kShared;
  const bool can = topology.nodes() > 1 && topology.devices() > topology.nodes();
  for (const Overlap overlap : {Overlap::kNone, Overlap::kStage, Overlap::kAuto}) {
    for (const Even even : {Even::kAuto, Even::kAlways}) {
      options.overlap = overlap;
      options.even = even;
      const std::string name = std::string(to_string(overlap)) + " " + to_string(even);
      const Outcome many = run_on_ranks(options, topology, prompts(32, 16), 150);
      expect_same(many, want, name);
      if (even == Even::kAlways && overlap != Overlap::kAuto) {
        EXPECT_EQ(handed_over(many) > 0, can) << name;
      }
      const Outcome lone = run_on_ranks(options, topology, prompts(1, 4), 512);
      expect_same(lone, one, name + " one prompt");
      EXPECT_EQ(handed_over(lone) > 0, can) << name;
    }
  }
}

// Off a grid, and with rounded partial sums, too: `auto` hands nothing over where that would show.
TEST(Evening, AutoLeavesEveryBitOffAGridToo) {
  const Topology topology = Topology::grid(2, 2);
  for (const Reduction reduction : {Reduction::kBf16, Reduction::kFp32, Reduction::kExact}) {
    DeploymentOptions options = demo_options(reduction != Reduction::kBf16);
    options.reduction = reduction;
    for (const Intra intra : {Intra::kShared, Intra::kMpi}) {
      options.intra = intra;
      options.even = Even::kNone;
      const Outcome want = run_on_ranks(options, topology, prompts(1, 4), 512);
      options.even = Even::kAuto;
      const Outcome got = run_on_ranks(options, topology, prompts(1, 4), 512);
      const std::string name = std::string(to_string(reduction)) + " " + to_string(intra);
      expect_same(got, want, name);
      EXPECT_EQ(handed_over(want), 0) << name;
      EXPECT_EQ(handed_over(got) > 0, intra == Intra::kShared || reduction == Reduction::kExact)
          << name;
    }
  }
}

// The slow twin goes the same ways, with float32 rows.
TEST_P(Lossless, ReferenceBackendExactlyToo) {
  const Topology topology = Topology::parse(GetParam());
  const Outcome& want = one_rank(true, 6, 4);
  const TempDir folder;
  DeploymentOptions options = demo_options(true);
  options.record_routing = true;
  options.plan = make_plan_file(folder, "grace", topology);
  options.reduction = Reduction::kExact;
  const Outcome got = run_on_ranks(options, topology, prompts(6, 4), 512);
  expect_same(got, want, GetParam());
}

// What crosses is counted twice: by the exchange, and here from the recorded choices and the plan
// alone. What packed sums take depends on their values: less.
TEST_P(Lossless, CrossNodePayloadIsWhatTraceAndPlanSay) {
  const Topology topology = Topology::parse(GetParam());
  const TempDir folder;
  DeploymentOptions options = demo_options(false);
  options.record_routing = true;
  options.plan = make_plan_file(folder, "grace", topology);
  const Outcome packed = run_on_ranks(options, topology, prompts(16, 8), 100);
  options.packing = Packing::kNone;
  const Outcome got = run_on_ranks(options, topology, prompts(16, 8), 100);
  const Plan plan = read_plan(options.plan);
  const auto selector = make_selector(options.routing, plan);
  constexpr std::int64_t kRow = 256 * 2;
  for (int layer = 0; layer < got.trace.layers; ++layer) {
    std::int64_t out = 0, back = 0, rows = 0;
    std::uint64_t position = 0;
    for (std::int64_t t = 0; t < got.trace.tokens(); ++t) {
      const auto sequence =
          static_cast<std::uint64_t>(got.trace.sequence[static_cast<std::size_t>(t)]);
      position = t > 0 && got.trace.sequence[static_cast<std::size_t>(t - 1)] ==
                              got.trace.sequence[static_cast<std::size_t>(t)]
                     ? position + 1
                     : 0;
      const int home = static_cast<int>(sequence % static_cast<std::uint64_t>(topology.devices()));
      std::map<int, int> experts_on_node;
      for (const int expert : got.trace.chosen(t, layer))
        ++experts_on_node[topology.node_of(
            selector->device_for(layer, expert, home, token_key(sequence, position)))];
      experts_on_node.erase(topology.node_of(home));
      for (const auto& [node, j] : experts_on_node) {
        ++rows;
        out += kRow;
        back += j * 2 <= 4 ? j * kRow : 2 * kRow;  // bf16 rows as they are, or one float32 row
      }
    }
    std::int64_t sent_out = 0, sent_back = 0, sent_rows = 0;
    for (const LayerDeviceStatistics& device :
         got.statistics.layers[static_cast<std::size_t>(layer)]) {
      sent_out += device.dispatch_payload.cross_node;
      sent_back += device.combine_payload.cross_node;
      sent_rows += device.cross_node_rows;
    }
    EXPECT_EQ(sent_out, out) << "layer " << layer;
    EXPECT_EQ(sent_back, back) << "layer " << layer;
    EXPECT_EQ(sent_rows, rows) << "layer " << layer;
    std::int64_t packed_back = 0;
    for (const LayerDeviceStatistics& device :
         packed.statistics.layers[static_cast<std::size_t>(layer)])
      packed_back += device.combine_payload.cross_node;
    if (topology.nodes() > 1) {
      EXPECT_GT(rows, 0);
      EXPECT_GT(packed_back, 0);
      EXPECT_LT(packed_back, back);
    } else {
      EXPECT_EQ(packed_back, 0);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Topologies, Lossless,
                         testing::Values("1x1", "2x1", "1x2", "3x1", "2,1", "2x2"),
                         [](const auto& param_info) {
                           return "on_" +
                                  std::string(param_info.param)
                                      .replace(1, 1, param_info.param[1] == ',' ? "_and_" : "x");
                         });

// How the work is cut must not matter, bit for bit: chunks, batch size, threads.
TEST(Batching, AnyCutGivesTheSameLogits) {
  const Outcome& want = one_rank(false, 64, 32);
  DeploymentOptions options = demo_options(false);
  options.record_routing = true;
  for (const int max_rows : {7, 64, 4096}) {
    const Outcome got = run_on_ranks(options, Topology::grid(1, 1), prompts(64, 32), max_rows);
    expect_same(got, want, std::to_string(max_rows));
  }
  options.cpu.threads = 2;
  expect_same(run_on_ranks(options, Topology::grid(1, 1), prompts(64, 32), 512), want, "2 threads");
}

// Ranks with nothing to do take part: 1 prompt on 4 ranks.
TEST(Batching, RanksWithoutRequestsTakePart) {
  const Outcome& want = one_rank(false, 64, 32);
  DeploymentOptions options = demo_options(false);
  options.record_routing = true;
  options.reduction = Reduction::kExact;
  const Outcome got = run_on_ranks(options, Topology::grid(2, 2), prompts(1, 32), 512);
  ASSERT_EQ(got.completions.size(), 1u);
  EXPECT_EQ(got.completions[0].logit_hashes, want.completions[0].logit_hashes);
}

// A sampled text is the same on any number of ranks.
TEST(Batching, SamplingDoesNotDependOnTheRanks) {
  std::vector<std::vector<Completion>> results;
  for (const char* shape : {"1x1", "2x1", "3x1"}) {
    const Topology topology = Topology::parse(shape);
    DeploymentOptions options = demo_options(false);
    options.reduction = Reduction::kExact;
    run_ranks(topology.devices(), [&](Transport& transport) {
      Deployment deployment(options, topology, transport);
      std::vector<Request> requests = prompts(9, 12);
      for (Request& request : requests) {
        request.sampling = {.temperature = 0.8,
                            .top_k = 40,
                            .top_p = 0.95,
                            .seed = 11,
                            .repetition_penalty = 1.1,
                            .frequency_penalty = 0.2};
        request.stream = request.id;
      }
      RunOptions how;
      RunTimes times;
      const auto mine =
          run_requests(deployment.model(), transport,
                       requests_of(requests, transport.rank(), transport.size()), how, times);
      auto all = collect_completions(transport, mine);
      if (transport.rank() == 0) results.push_back(std::move(all));
    });
  }
  for (std::size_t i = 0; i < results[0].size(); ++i) {
    EXPECT_EQ(results[1][i].tokens, results[0][i].tokens);
    EXPECT_EQ(results[2][i].tokens, results[0][i].tokens);
  }
}

}  // namespace
}  // namespace gracemoe
