#include "planner/even_devices.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

using ::testing::Each;

// Names change, nothing else does: not what is visited, and not the layers' sizes.
TEST(EvenOutDevices, OnlyNamesChange) {
  for (const char* shape : {"2x2", "3x2", "1x4"}) {
    SCOPED_TRACE(shape);
    const Topology topology = Topology::parse(shape);
    const SearchCluster cluster = SearchCluster::uniform(topology, 10);
    Random random(1);
    const RoutingTrace trace = random_trace(1, 60, 10, 3, 6);
    const auto before = random_layers(random, topology, 6, 10, 1);
    auto after = before;
    even_out_devices(after, cluster);
    const auto metrics = [&](const std::vector<LayerPlan>& layers) {
      return evaluate(plan_of(trace, topology, layers), at_every_home(trace, topology.devices()),
                      RoutingPolicy::kPrimary, 1);
    };
    const PlanMetrics a = metrics(before), b = metrics(after);
    for (int l = 0; l < 6; ++l) {
      EXPECT_NEAR(a.layers[at(l)].nodes_visited, b.layers[at(l)].nodes_visited, 1e-12);
      EXPECT_NEAR(a.layers[at(l)].devices_visited, b.layers[at(l)].devices_visited, 1e-12);
      EXPECT_NEAR(a.layers[at(l)].load_max_over_mean, b.layers[at(l)].load_max_over_mean, 1e-12);
      auto sizes = held({before[at(l)]}, topology), renamed = held({after[at(l)]}, topology);
      std::sort(sizes.begin(), sizes.end());
      std::sort(renamed.begin(), renamed.end());
      EXPECT_EQ(sizes, renamed);
    }
  }
}

TEST(EvenOutDevices, AllHoldTheSame) {
  const Topology topology = Topology::grid(2, 2);
  std::vector<LayerPlan> layers(8);
  for (LayerPlan& layer : layers)  // 6, 3, 2 and 1 in every layer
    for (const int d : {0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3}) layer.experts.push_back({{d, 1.0}});
  even_out_devices(layers, SearchCluster::uniform(topology, 12));
  EXPECT_THAT(held(layers, topology), Each(24));
}

// Sizes that differ by chance even out to the last instance where there are some layers to do so.
TEST(EvenOutDevices, ByChanceUnevenOnes) {
  for (const char* shape : {"2x2", "2x4", "4x1", "1x8", "4x3"}) {
    SCOPED_TRACE(shape);
    const Topology topology = Topology::parse(shape);
    Random random(2);
    auto layers = random_layers(random, topology, 24, 20, 3);
    even_out_devices(layers, SearchCluster::uniform(topology, 20));
    const std::vector<int> counts = held(layers, topology);
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    EXPECT_LE(*most - *least, 2) << "nodes within one, devices of a node within one";
  }
}

TEST(EvenOutDevices, NoLayersAndOneDevice) {
  std::vector<LayerPlan> none;
  even_out_devices(none, SearchCluster::uniform(Topology::grid(2, 2), 3));
  std::vector<LayerPlan> one(1);
  one[0].experts = {{{0, 1.0}}, {{0, 0.5}}};
  even_out_devices(one, SearchCluster::uniform(Topology::grid(1, 1), 2));
  EXPECT_EQ(one[0].experts[1][0].device, 0);
}

}  // namespace
}  // namespace gracemoe
