#include "interop/padding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "interop/interop_data.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SlotPlacement placement_of(const std::vector<SlotPlacement::Layer>& layers, int experts) {
  SlotPlacement placement;
  placement.num_experts = experts;
  placement.devices = static_cast<int>(layers[0].size());
  placement.layers = layers;
  return placement;
}

bool holds(const std::vector<int>& slots, int expert) {
  return std::find(slots.begin(), slots.end(), expert) != slots.end();
}

// Usefulness by its definition: visits of all tokens with and without the copy, anew each time.
class SlowFiller {
 public:
  SlowFiller(const SlotPlacement::Layer& layer, const Topology& topology, const RoutingTrace& trace,
             int index)
      : layer_(layer), topology_(topology), trace_(trace), index_(index) {
    // An expert's first instance stays the one that it had before padding.
    for (int e = 0; e < trace.num_experts; ++e) first_.push_back(node_of_first(e));
  }

  SlotPlacement::Layer fill(std::size_t slots) {
    while (step(slots)) {
    }
    return layer_;
  }
  // Whether at every step one copy alone was the most useful.
  bool clear() const { return clear_; }

 private:
  int node_of_first(int expert) const {
    for (std::size_t d = 0; d < layer_.size(); ++d)
      if (holds(layer_[d], expert)) return topology_.node_of(static_cast<int>(d));
    return -1;
  }
  bool on_node(int node, int expert) const {
    for (int d = topology_.first_device(node); d < topology_.first_device(node + 1); ++d)
      if (holds(layer_[static_cast<std::size_t>(d)], expert)) return true;
    return false;
  }
  // Only tokens with their home on `node`.
  std::int64_t visits(int node) const {
    std::int64_t sum = 0;
    int device = -1;
    for (std::int64_t t = 0; t < trace_.tokens(); ++t) {
      const auto s = static_cast<std::size_t>(t);
      if (t == 0 || trace_.sequence[s] != trace_.sequence[s - 1])
        device = (device + 1) % topology_.devices();
      if (topology_.node_of(device) != node) continue;
      std::set<int> nodes;
      for (const int e : trace_.chosen(t, index_))
        if (!on_node(node, e)) nodes.insert(first_[static_cast<std::size_t>(e)]);
      sum += static_cast<std::int64_t>(nodes.size());
    }
    return sum;
  }
  int instances(int expert) const {
    return static_cast<int>(std::count_if(layer_.begin(), layer_.end(),
                                          [&](const auto& d) { return holds(d, expert); }));
  }
  double load_each(int expert) const {
    double load = 0;
    for (std::int64_t t = 0; t < trace_.tokens(); ++t)
      for (const int e : trace_.chosen(t, index_)) load += e == expert;
    return load / instances(expert);
  }

  bool step(std::size_t slots) {
    using Key = std::tuple<std::int64_t, double, int>;  // negative gain, negative load, instances
    std::optional<Key> best;
    std::size_t device = 0;
    int expert = 0;
    int equals = 0;
    for (std::size_t d = 0; d < layer_.size(); ++d) {
      const int node = topology_.node_of(static_cast<int>(d));
      if (layer_[d].size() >= slots) continue;
      const std::int64_t before = visits(node);
      for (int e = 0; e < trace_.num_experts; ++e) {
        if (holds(layer_[d], e)) continue;
        const double load = load_each(e);
        const int count = instances(e);
        layer_[d].push_back(e);
        const Key key{visits(node) - before, -load, count};
        layer_[d].pop_back();
        equals = best && key == *best ? equals + 1 : equals;
        if (best && key >= *best) continue;
        best = key;
        device = d;
        expert = e;
        equals = 1;
      }
    }
    if (!best) return false;
    clear_ = clear_ && equals == 1;
    layer_[device].push_back(expert);
    return true;
  }

  bool clear_ = true;
  SlotPlacement::Layer layer_;
  const Topology& topology_;
  const RoutingTrace& trace_;
  int index_;
  std::vector<int> first_;
};

// One node a device, so that ties between devices cannot part the two.
TEST(Padding, FillsByTheVisitsSavedAsTheDefinitionDoes) {
  Dice dice(3);
  int compared = 0;
  for (int round = 0; round < 30; ++round) {
    const Topology topology = Topology::grid(2 + dice.below(3), 1);
    const int experts = 4 + dice.below(6);
    const RoutingTrace trace = skewed_trace(dice, 40, experts, 1 + dice.below(3), 2);
    SlotPlacement placement = from_plan(random_plan(dice, topology, experts, 2));
    const SlotPlacement before = placement;
    const PaddingCost cost = pad_slots(placement, topology, 0, {&trace, nullptr});
    for (std::size_t l = 0; l < 2; ++l) {
      SlowFiller slow(before.layers[l], topology, trace, static_cast<int>(l));
      const auto want = slow.fill(static_cast<std::size_t>(cost.slots_a_device));
      if (!slow.clear()) continue;  // equally useful copies: either may do
      ++compared;
      for (std::size_t d = 0; d < want.size(); ++d) {
        EXPECT_EQ(std::set<int>(want[d].begin(), want[d].end()),
                  std::set<int>(placement.layers[l][d].begin(), placement.layers[l][d].end()));
      }
    }
  }
  EXPECT_GE(compared, 20);
}

TEST(Padding, KeepsWhatIsThereAndNeverDoublesOnADevice) {
  Dice dice(5);
  for (int round = 0; round < 200; ++round) {
    const Topology topology = Topology::grid(1 + dice.below(3), 1 + dice.below(4));
    const int experts = 1 + dice.below(12);
    const int layers = 1 + dice.below(3);
    const RoutingTrace trace = skewed_trace(dice, 30, experts, 1, layers);
    const RoutingStatistics statistics = count_statistics(trace);
    SlotPlacement placement = from_plan(random_plan(dice, topology, experts, layers));
    const SlotPlacement before = placement;
    const bool more = dice.below(2) == 0;
    const int slots = more ? experts * topology.devices() : 0;
    const int evidence = dice.below(3);
    const PaddingCost cost =
        pad_slots(placement, topology, slots,
                  {evidence == 0 ? &trace : nullptr, evidence == 1 ? &statistics : nullptr});
    EXPECT_EQ(placement.instances() - before.instances(), cost.added);
    EXPECT_EQ(placement.slots_a_device(), cost.slots_a_device);
    for (std::size_t l = 0; l < placement.layers.size(); ++l) {
      for (std::size_t d = 0; d < placement.layers[l].size(); ++d) {
        const auto& now = placement.layers[l][d];
        const auto& then = before.layers[l][d];
        ASSERT_LE(then.size(), now.size());
        EXPECT_TRUE(std::equal(then.begin(), then.end(), now.begin()));
        EXPECT_EQ(std::set<int>(now.begin(), now.end()).size(), now.size());
      }
    }
  }
}

TEST(Padding, TheFewestSlotsAreTheMostThatAnyDeviceHolds) {
  SlotPlacement placement = placement_of({{{0, 1, 2}, {3}}, {{0, 1}, {2, 3}}}, 4);
  const PaddingCost cost = pad_slots(placement, Topology::grid(1, 2), 0, {});
  EXPECT_EQ(cost.slots_a_device, 3);
  EXPECT_EQ(cost.added, 4);
  // Without evidence, experts with the fewest instances first, by id.
  EXPECT_THAT(placement.layers[0][1], ElementsAre(3, 0, 1));
  EXPECT_THAT(placement.layers[1][0], ElementsAre(0, 1, 2));
}

TEST(Padding, ByLoadPerInstance) {
  RoutingStatistics statistics;
  statistics.num_experts = 4;
  statistics.layers = 1;
  statistics.load = {10, 40, 30, 100};
  SlotPlacement placement = placement_of({{{0, 1, 2}, {3}}}, 4);
  pad_slots(placement, Topology::grid(1, 2), 0, {nullptr, &statistics});
  EXPECT_THAT(placement.layers[0][1], ElementsAre(3, 1, 2));
}

TEST(Padding, Refuses) {
  const Topology topology = Topology::grid(1, 2);
  const auto error = [&](int slots) {
    SlotPlacement placement = placement_of({{{0, 1}, {2}}}, 3);
    return error_of([&] { pad_slots(placement, topology, slots, {}); }, ErrorCategory::kUsage);
  };
  EXPECT_THAT(error(5), HasSubstr("a multiple of the number of devices"));
  EXPECT_THAT(error(2), HasSubstr("at least 4: a device holds up to 2"));
  EXPECT_THAT(error(8), HasSubstr("at most 6, all experts on every device"));
  Dice dice(1);
  const RoutingTrace other = skewed_trace(dice, 3, 5, 1, 1);
  EXPECT_THAT(error_of([&] {
                SlotPlacement placement = placement_of({{{0, 1}, {2}}}, 3);
                pad_slots(placement, topology, 0, {&other, nullptr});
              }),
              HasSubstr("the trace to pad by: got 1 layers of 5 experts, wanted 1 of 3"));
  // Imported duplicates count as slots, so a device may run out of experts that it lacks.
  EXPECT_THAT(error_of([&] {
                SlotPlacement placement = placement_of({{{0, 0, 0}, {0}}}, 1);
                pad_slots(placement, topology, 0, {});
              }),
              HasSubstr("all experts on the device, and 2 slots free"));
}

}  // namespace
}  // namespace gracemoe
