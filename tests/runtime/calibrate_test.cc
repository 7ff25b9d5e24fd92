#include "runtime/calibrate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <map>
#include <mutex>

#include "support/error_of.h"
#include "support/thread_transport.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;

TEST(FitLine, ExactLinesAreFound) {
  const std::vector<double> x{1, 10, 100, 1000};
  for (const auto& [a, b] : {std::pair{3.0, 0.5}, {0.0, 2.0}, {5.0, 0.0}, {1e-6, 1e-9}}) {
    std::vector<double> y;
    for (const double v : x) y.push_back(a + b * v);
    const Line line = fit_line(x, y);
    EXPECT_NEAR(line.intercept, a, 1e-9 * (a + b));
    EXPECT_NEAR(line.slope, b, 1e-9 * (a + b));
    EXPECT_NEAR(line.error, 0, 1e-9);
  }
}

// The best of a fine grid of lines around it is no better.
TEST(FitLine, NoLineNearbyIsBetter) {
  const std::vector<double> x{1, 2, 50, 300, 5000};
  const std::vector<double> y{10, 13, 45, 160, 2500};
  const Line best = fit_line(x, y);
  const auto error = [&](double a, double b) {
    double squares = 0, time = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      squares += std::pow(y[i] - a - b * x[i], 2) / y[i];
      time += y[i];
    }
    return std::sqrt(squares / time);
  };
  EXPECT_NEAR(best.error, error(best.intercept, best.slope), 1e-12);
  for (const double da : {-0.01, 0.0, 0.01})
    for (const double db : {-0.01, 0.0, 0.01})
      EXPECT_GE(error(best.intercept * (1 + da), best.slope * (1 + db)), best.error - 1e-15);
}

TEST(FitLine, NeverBelowZero) {
  EXPECT_EQ(fit_line(std::vector<double>{1, 2}, std::vector<double>{1, 4}).intercept, 0);
  const Line falling = fit_line(std::vector<double>{1, 2, 3}, std::vector<double>{4, 3, 2});
  EXPECT_EQ(falling.slope, 0);
  EXPECT_GT(falling.intercept, 2);
  EXPECT_LT(falling.intercept, 4);
  EXPECT_EQ(fit_line(std::vector<double>{4}, std::vector<double>{8}).slope, 2);
  EXPECT_EQ(fit_line(std::vector<double>{0}, std::vector<double>{8}).intercept, 8);
  EXPECT_NE(error_of([] { fit_line({}, {}); }, ErrorCategory::kInternal), "");
  const std::vector<double> zero{0};
  EXPECT_NE(error_of([&] { fit_line(zero, zero); }, ErrorCategory::kInternal), "");
}

// A rank in simulated time: its messages take what the cluster's links say.
class SimulatedTransport final : public Transport {
 public:
  SimulatedTransport(Transport& real, const Cluster& cluster) : real_(real), cluster_(cluster) {}
  int rank() const override { return real_.rank(); }
  int size() const override { return real_.size(); }
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override {
    for (const OutgoingMessage& message : out) {
      const Topology& t = cluster_.topology;
      const int here = t.node_of(rank()), there = t.node_of(message.to);
      // The devices of a node share its link to another node.
      const int sharers = here == there ? 1 : std::min(t.devices_on(here), t.devices_on(there));
      now += cluster_.link(rank(), message.to)
                 .seconds(static_cast<double>(message.bytes.size()) * sharers);
    }
    return real_.exchange(out, from, phase);
  }
  double now = 0;

 private:
  Transport& real_;
  const Cluster& cluster_;
};

// Experts that take `read` seconds each and `token` an entry of simulated time.
class SimulatedExperts final : public ExpertGroup {
 public:
  SimulatedExperts(double& now, double slowness) : now_(now), slowness_(slowness) {}
  void forward(const GroupedRows& work, std::byte*) const override {
    now_ += slowness_ * (20e-6 * static_cast<double>(work.expert.size()) +
                         3e-6 * static_cast<double>(work.row_of.size()));
  }

 private:
  double& now_;
  double slowness_;
};

class SimulatedBackend final : public Backend {
 public:
  SimulatedBackend(double& now, double slowness) : now_(now), slowness_(slowness) {}
  std::string name() const override { return "simulated"; }
  std::size_t row_element_size() const override { return 2; }
  std::unique_ptr<Linear> linear(WeightView) const override { return nullptr; }
  std::unique_ptr<Linear> linear_float32(WeightView) const override { return nullptr; }
  std::unique_ptr<ExpertGroup> experts(std::vector<ExpertWeights>) const override {
    return std::make_unique<SimulatedExperts>(now_, slowness_);
  }
  void rms_norm(std::span<const float>, std::span<const bf16>, double,
                std::span<float>) const override {}
  void rope(std::span<float>, int, std::span<const std::int32_t>, const Rope&) const override {}
  void store_rows(std::span<const float>, std::byte*) const override {}
  void load_rows(const std::byte*, std::span<float>) const override {}
  void attention(std::span<const float>, const AttentionShape&, std::span<const AttentionSpan>,
                 std::span<float>) const override {}

 private:
  double& now_;
  double slowness_;
};

// What calibrate() finds on a cluster that is only simulated; all ranks must agree.
Calibration find(const Cluster& truth, const std::vector<double>& slowness) {
  std::mutex mutex;
  std::vector<Calibration> found;
  run_ranks(truth.topology.devices(), [&](Transport& real) {
    SimulatedTransport transport(real, truth);
    const SimulatedBackend backend(transport.now, slowness[static_cast<std::size_t>(real.rank())]);
    CalibrateOptions options;
    options.hidden = 64;
    options.expert_width = 32;
    options.experts = 16;
    options.seconds = 0.2;  // simulated; few repeats
    options.clock = options.compute_clock = [&] { return transport.now; };
    int done = 0;
    options.step_done = [&] { ++done; };
    const Calibration mine = calibrate(transport, truth.topology, backend, options);
    EXPECT_EQ(done, calibrate_steps(truth.topology));
    const std::lock_guard lock(mutex);
    found.push_back(mine);
  });
  for (const Calibration& other : found) EXPECT_EQ(other.cluster, found[0].cluster);
  return found[0];
}

void expect_link(const LinkSpec& got, const LinkSpec& want) {
  EXPECT_NEAR(got.latency_s, want.latency_s, 1e-6 * want.latency_s);
  EXPECT_NEAR(got.bytes_per_s, want.bytes_per_s, 1e-6 * want.bytes_per_s);
}

TEST(Calibrate, FindsTheLinksAndDevicesOfASimulatedCluster) {
  Cluster truth = Cluster::uniform(Topology::parse("2,2,3,1"));
  truth.intra_node = {2e-6, 10e9};
  truth.inter_node = {30e-6, 1e9};
  truth.node_overrides[2] = {2e-6, 4e9};
  truth.pair_overrides[{1, 3}] = {300e-6, 0.2e9};
  std::vector<double> slowness(8, 1);
  slowness[5] = 2;
  slowness[6] = 1.05;
  const Calibration found = find(truth, slowness);
  const Cluster& c = found.cluster;
  EXPECT_TRUE(found.intra_node.measured);
  EXPECT_TRUE(found.inter_node.measured);
  expect_link(c.inter_node, truth.inter_node);
  expect_link(c.intra_node, truth.intra_node);
  ASSERT_EQ(c.node_overrides.size(), 1U);
  expect_link(c.node_overrides.at(2), truth.node_overrides.at(2));
  ASSERT_EQ(c.pair_overrides.size(), 1U);
  expect_link(c.pair_overrides.at({1, 3}), truth.pair_overrides.at({1, 3}));
  for (int d = 0; d < 8; ++d)
    EXPECT_NEAR(c.devices[static_cast<std::size_t>(d)].speed, d == 5 ? 0.5 : 1, 1e-9);
  EXPECT_NEAR(found.expert.slope, 3e-6, 0.01 * 3e-6);  // one of seven is 5% slower
  EXPECT_NEAR(found.expert.intercept, 20e-6, 0.01 * 20e-6);
  EXPECT_NEAR(c.compute.flops_per_s, 6 * 64 * 32 / found.expert.slope, 1);
  EXPECT_NEAR(c.compute.weight_bytes_per_s, 6 * 64 * 32 / found.expert.intercept, 1);
  EXPECT_EQ(c.compute.hidden, 64);
  EXPECT_EQ(found.expert_seconds.size(), kExpertRows.size());
}

TEST(Calibrate, OneDeviceMeasuresItsExpertsOnly) {
  const Cluster truth = Cluster::uniform(Topology::grid(1, 1));
  const Calibration found = find(truth, {1});
  EXPECT_FALSE(found.intra_node.measured);
  EXPECT_FALSE(found.inter_node.measured);
  EXPECT_EQ(found.cluster.intra_node, kDefaultIntraNode);
  EXPECT_EQ(found.cluster.inter_node, kDefaultInterNode);
  EXPECT_NEAR(found.expert.slope, 3e-6, 1e-12);
}

TEST(Calibrate, OnlyNodesOrOnlyNeighbours) {
  Cluster truth = Cluster::uniform(Topology::grid(3, 1));
  EXPECT_FALSE(find(truth, {1, 1, 1}).intra_node.measured);
  EXPECT_TRUE(find(truth, {1, 1, 1}).cluster.pair_overrides.empty());
  truth = Cluster::uniform(Topology::grid(1, 2));
  EXPECT_TRUE(find(truth, {1, 1}).intra_node.measured);
  EXPECT_FALSE(find(truth, {1, 1}).inter_node.measured);
}

// A link so slow that large messages would take minutes.
TEST(Calibrate, SlowLinksAreMeasuredWithSmallMessages) {
  Cluster truth = Cluster::uniform(Topology::grid(2, 1));
  truth.inter_node = {1e-3, 1e5};
  expect_link(find(truth, {1, 1}).cluster.inter_node, truth.inter_node);
}

// Busy cores: every message takes 12 ms and more, whatever its size.
TEST(Calibrate, BusyCoresDoNotHideTheBandwidth) {
  Cluster truth = Cluster::uniform(Topology::grid(2, 2));
  truth.inter_node = {12e-3, 12.5e6};
  truth.intra_node = {8e-3, 2e9};
  const Calibration found = find(truth, {1, 1, 1, 1});
  expect_link(found.cluster.inter_node, truth.inter_node);
  EXPECT_EQ(found.inter_node.trouble, "");
}

TEST(Calibrate, LinksWhoseBytesAreNotFeltHaveNoFigures) {
  Cluster truth = Cluster::uniform(Topology::grid(3, 1));
  truth.inter_node = {1e-4, 1e9};
  truth.pair_overrides[{0, 2}] = {0.5, 1e15};
  Calibration found = find(truth, {1, 1, 1});
  expect_link(found.cluster.inter_node, truth.inter_node);
  EXPECT_TRUE(found.cluster.pair_overrides.empty());
  EXPECT_EQ(found.inter_node.failed, 1);
  EXPECT_EQ(found.inter_node.links, 3);
  EXPECT_EQ(found.inter_node.trouble,
            "nodes 0 and 2: messages of 256 to 4096 bytes took 500 to 500 ms: what a byte takes "
            "cannot be told from what a message takes");
  require_measured(found);
  truth = Cluster::uniform(Topology::grid(2, 1));
  truth.inter_node = {0.5, 1e15};
  found = find(truth, {1, 1});
  EXPECT_FALSE(found.inter_node.measured);
  EXPECT_EQ(found.cluster.inter_node, kDefaultInterNode);
  EXPECT_EQ(error_of([&] { require_measured(found); }, ErrorCategory::kUsage),
            "links could not be measured: got " + found.inter_node.trouble +
                "; measure while the cores are idle, or for more --seconds");
}

}  // namespace
}  // namespace gracemoe
