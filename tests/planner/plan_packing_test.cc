#include "planner/plan_packing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "planner/device_search.h"
#include "planner/layer_curve.h"
#include "planner/search_inputs.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(CopiesOf, BeyondOneAnExpert) {
  LayerPlan layer;
  layer.experts = {{{0, 1}}, {{0, 1}, {1, 1}, {2, 1}}, {{1, 1}, {0, 1}}};
  EXPECT_EQ(copies_of(layer), 3);
  EXPECT_EQ(copies_of({layer, layer}), 6);
  EXPECT_EQ(copies_of(std::vector<LayerPlan>{}), 0);
}

// Layers on a cluster, with what their instances can do.
struct Packed {
  Packed(std::uint64_t seed, const char* shape, int layer_count, int most)
      : topology(Topology::parse(shape)), cluster(SearchCluster::uniform(topology, 10)) {
    Random random(seed);
    trace = random_trace(seed, 80, 10, 3, layer_count);
    layers = random_layers(random, topology, layer_count, 10, most);
  }
  // Limits of `total` instances, as even as can be.
  void limit_to(int total) {
    for (std::size_t d = 0; d < cluster.max_copies.size(); ++d)
      cluster.max_copies[d] = (total + static_cast<int>(d)) / topology.devices();
  }
  std::vector<std::vector<Departure>> departures() const {
    std::vector<std::vector<Departure>> all;
    const auto full = overfull_devices(layers, cluster);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const TokenBits bits = layer_bits(trace, static_cast<int>(l), 1000);
      const VisitProblem p = place_problem(bits, 3, cluster, {});
      all.push_back(
          departures_from(layers[l], VisitState(p, places_of(layers[l], cluster)), cluster, full));
    }
    return all;
  }
  void expect_valid() const {
    validate(plan_of(trace, topology, layers), "packed");
    const std::vector<int> counts = held(layers, topology);
    for (std::size_t d = 0; d < counts.size(); ++d) EXPECT_LE(counts[d], cluster.max_copies[d]);
  }

  Topology topology;
  SearchCluster cluster;
  RoutingTrace trace;
  std::vector<LayerPlan> layers;
};

TEST(FillSlots, TheHeaviestThatADeviceLacks) {
  TokenBits tokens(4, 8);
  for (int e = 0; e < 4; ++e)
    for (int t = 0; t < 2 * e + 1; ++t) tokens.select(t, e);
  const SearchCluster cluster = SearchCluster::uniform(Topology::parse("1x3"), 4);
  LayerPlan layer;
  layer.experts = {{{0, 1}}, {{0, 1}}, {{1, 1}}, {{2, 1}, {1, 1}}};
  fill_slots(layer, 2, tokens, cluster);
  EXPECT_THAT(held({layer}, cluster.topology), Each(2));
  EXPECT_EQ(layer.experts[0].size(), 1u);
  EXPECT_EQ(layer.experts[1].size(), 1u);
  ASSERT_EQ(layer.experts[2].size(), 2u) << "expert 3 is on device 2 already, 2 is the next";
  EXPECT_EQ(layer.experts[2][1].device, 2);
  EXPECT_LT(layer.experts[2][1].weight, 1e-3) << "for tokens at home there alone";
  fill_slots(layer, 4, tokens, cluster);
  for (const auto& instances : layer.experts) EXPECT_EQ(instances.size(), 3u);
}

TEST(BalancedLayer, IsEvenWithinItsCopies) {
  const std::vector<double> load{600, 560, 120, 120, 20, 10, 10, 10};
  const SearchCluster cluster = SearchCluster::uniform(Topology::parse("2x4"), 8);
  const LayerPlan layer = balanced_layer(load, 8, cluster);
  ASSERT_EQ(layer.experts.size(), load.size());
  EXPECT_LE(copies_of(layer), 8);
  std::vector<double> device(8);
  for (std::size_t e = 0; e < load.size(); ++e)
    for (const Instance& i : layer.experts[e])
      device[at(i.device)] += load[e] / static_cast<double>(layer.experts[e].size());
  EXPECT_LE(*std::max_element(device.begin(), device.end()), 200);
}

TEST(BalancedLayer, NothingWhereItDoesNotFit) {
  SearchCluster cluster = SearchCluster::uniform(Topology::parse("1x2"), 4);
  cluster.max_experts = {1, 2};
  EXPECT_TRUE(balanced_layer(std::vector<double>{1, 1, 1, 1}, 4, cluster).experts.empty());
  cluster.max_experts = {2, 2};
  EXPECT_EQ(copies_of(balanced_layer(std::vector<double>{1, 1, 1, 1}, 4, cluster)), 0);
}

TEST(OverfullDevices, WhereMoreIsHeldThanFits) {
  Packed p(1, "1x3", 1, 1);
  p.layers[0].experts.assign(10, {{0, 1.0}});
  p.layers[0].experts[9] = {{1, 1.0}};
  EXPECT_THAT(overfull_devices(p.layers, p.cluster), ElementsAre(0, 0, 0));
  p.cluster.max_copies = {8.9, 1, 0};
  EXPECT_THAT(overfull_devices(p.layers, p.cluster), ElementsAre(1, 0, 0));
}

// Each departure's cost is the difference between fresh states, and none is left out.
TEST(DeparturesFrom, CostWhatTheyChange) {
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    for (const char* shape : {"2x2", "3x2", "1x4"}) {
      SCOPED_TRACE(shape + (" " + std::to_string(seed)));
      const Packed p(seed, shape, 1, 4);
      const TokenBits bits = layer_bits(p.trace, 0, 1000);
      const VisitProblem problem = place_problem(bits, 3, p.cluster, {});
      const VisitState state(problem, places_of(p.layers[0], p.cluster));
      std::vector<char> devices(at(p.topology.devices()));
      devices[1] = 1;
      int found = 0;
      double last = -1e9;
      for (const Departure& d : departures_from(p.layers[0], state, p.cluster, devices)) {
        const int place = p.cluster.place_of(1);
        EXPECT_EQ(d.from, 1);
        EXPECT_GE(d.cost, last);
        last = d.cost;
        ++found;
        PlaceLists lists = state.instance_lists();
        auto& list = lists[at(d.expert)];
        std::replace(list.begin(), list.end(), place, d.to);
        for (std::size_t i = list.size(); i-- > 1;)  // held there already
          if (std::count(list.begin(), list.end(), list[i]) > 1)
            list.erase(list.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_NEAR(d.cost, VisitState(problem, lists).cost() - state.cost(), 1e-9);
      }
      const auto on = plan_of(p.trace, p.topology, p.layers).experts_on(0, 1).size();
      EXPECT_EQ(at(found), on * at(problem.places - (p.cluster.by_node() ? 0 : 1)));
    }
}

// Memory for exactly the instances there are: all of them stay, somewhere.
TEST(FitDevices, MovesRatherThanLoses) {
  for (std::uint64_t seed = 0; seed < 10; ++seed)
    for (const char* shape : {"2x2", "3x2", "1x4", "3,1"}) {
      SCOPED_TRACE(shape + (" " + std::to_string(seed)));
      Packed p(seed, shape, 4, 1);
      p.limit_to(40);
      fit_devices(p.layers, p.cluster, p.departures());
      p.expect_valid();
      EXPECT_EQ(copies_of(p.layers), 0);
    }
}

TEST(FitDevices, UnevenRoomForAll) {
  for (std::uint64_t seed = 0; seed < 20; ++seed)
    for (const char* shape : {"2x2", "3x2", "1x4", "3,1"}) {
      SCOPED_TRACE(shape + (" " + std::to_string(seed)));
      Packed p(seed, shape, 4, 3);
      const int copies = copies_of(p.layers);
      Random random(seed);
      double room = 0;
      for (double& limit : p.cluster.max_copies) room += limit = random.below(30);
      if (room < 40 + copies) p.cluster.max_copies[1] += 40 + copies - room;
      fit_devices(p.layers, p.cluster, p.departures());
      p.expect_valid();
      EXPECT_LE(copies_of(p.layers), copies);
    }
}

TEST(FitDevices, GivesUpACopyWhereThereIsNoRoom) {
  Packed p(1, "2x1", 1, 1);
  p.layers[0].experts.assign(10, {{0, 1.0}});
  p.layers[0].experts[3] = {{0, 0.7}, {1, 0.3}};
  p.cluster.max_copies = {9, 1};
  fit_devices(p.layers, p.cluster, p.departures());
  EXPECT_THAT(p.layers[0].experts[3], ElementsAre(Instance{1, 1.0}));
  EXPECT_THAT(held(p.layers, p.topology), ElementsAre(9, 1));
}

// The side instances of an expert that lost its main one: one of them is the main one now.
TEST(FitDevices, AnotherMainInstance) {
  Packed p(1, "3x1", 1, 1);
  p.layers[0].experts.assign(10, {{1, 1.0}});
  p.layers[0].experts[3] = {{0, 1.0}, {1, kSideWeight}, {2, kSideWeight}};
  p.cluster.max_copies = {0, 10, 1};
  fit_devices(p.layers, p.cluster, {{{0, 3, 0, 1}}});
  EXPECT_THAT(p.layers[0].experts[3], ElementsAre(Instance{1, 1.0}, Instance{2, kSideWeight}));
}

TEST(FitDevices, LayersRoomIsKept) {
  Packed p(1, "2x1", 2, 1);
  for (LayerPlan& layer : p.layers) layer.experts.assign(10, {{0, 1.0}});
  p.cluster.max_copies = {10, 10};
  p.cluster.max_experts = {10, 5};
  fit_devices(p.layers, p.cluster, p.departures());
  p.expect_valid();
  for (const LayerPlan& layer : p.layers) EXPECT_THAT(held({layer}, p.topology), ElementsAre(5, 5));
}

TEST(FitDevices, SaysWhatDoesNotFit) {
  Packed p(1, "2x1", 1, 1);
  p.layers[0].experts.assign(10, {{0, 1.0}});
  p.cluster.max_copies = {6.5, 3};
  EXPECT_THAT(error_of([&] { fit_devices(p.layers, p.cluster, p.departures()); }),
              HasSubstr("memory of device 0: got room for 6 experts, wanted 7, for which no other "
                        "device has room; a larger memory budget, or more memory"));
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
