#include "planner/plan_packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "planner/expected_load.h"
#include "planner/layer_curve.h"
#include "planner/search_inputs.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::Le;
using ::testing::HasSubstr;

// [devices] instances over all layers.
std::vector<int> held(const std::vector<LayerPlan>& layers, const Topology& topology) {
  std::vector<int> counts(at(topology.devices()));
  for (const LayerPlan& layer : layers)
    for (const auto& instances : layer.experts)
      for (const Instance& i : instances) ++counts[at(i.device)];
  return counts;
}

std::vector<LayerPlan> random_layers(Random& random, const Topology& topology, int layers,
                                     int experts, int most) {
  std::vector<LayerPlan> plans(at(layers));
  for (LayerPlan& layer : plans)
    for (const auto& devices : random_places(random, experts, topology.devices(), most)) {
      layer.experts.emplace_back();
      for (const int d : devices) layer.experts.back().push_back({d, 0.1 + random_unit(random)});
    }
  return plans;
}

TEST(CopiesOf, BeyondOneAnExpert) {
  LayerPlan layer;
  layer.experts = {{{0, 1}}, {{0, 1}, {1, 1}, {2, 1}}, {{1, 1}, {0, 1}}};
  EXPECT_EQ(copies_of(layer), 3);
  EXPECT_EQ(copies_of({layer, layer}), 6);
  EXPECT_EQ(copies_of(std::vector<LayerPlan>{}), 0);
}

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

TEST(EvenOutDevices, AllHoldAboutTheSame) {
  const Topology topology = Topology::grid(2, 2);
  std::vector<LayerPlan> layers(8);
  for (LayerPlan& layer : layers)  // 6, 3, 2 and 1 in every layer
    for (const int d : {0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3}) layer.experts.push_back({{d, 1.0}});
  even_out_devices(layers, SearchCluster::uniform(topology, 12));
  EXPECT_THAT(held(layers, topology), Each(AllOf(Ge(23), Le(25))));
}

TEST(TakeExtras, LargestGainFirstInTheLayersOrder) {
  const std::vector<std::vector<ExtraCopy>> extras{
      {{5, {}}, {1, {}}, {9, {}}}, {{4, {}}, {3, {}}}, {}, {{0, {}}, {7, {}}}};
  EXPECT_THAT(take_extras(extras, 0), ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(take_extras(extras, 1), ElementsAre(1, 0, 0, 0));
  EXPECT_THAT(take_extras(extras, 3), ElementsAre(1, 2, 0, 0));
  // What comes later cannot be had without what comes before; what gains nothing is not taken.
  EXPECT_THAT(take_extras(extras, 5), ElementsAre(3, 2, 0, 0));
  EXPECT_THAT(take_extras(extras, 100), ElementsAre(3, 2, 0, 0));
}

}  // namespace
}  // namespace gracemoe
