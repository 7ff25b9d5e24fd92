#include "interop/placement.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "interop/interop_data.h"
#include "support/error_of.h"

namespace gracemoe {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

SlotPlacement dealt(std::vector<std::vector<int>> rows, int devices) {
  SlotPlacement placement = placement_of_rows(std::move(rows), {}, "f");
  deal_to_devices(placement, devices, "f");
  return placement;
}

PlanFacts facts(const Topology& topology) {
  return {topology, 2, "toy", "", "test"};
}

TEST(Placement, SlotsAreDealtInOrder) {
  const SlotPlacement placement = dealt(data_rows(), 5);
  EXPECT_EQ(placement.num_experts, 8);
  EXPECT_EQ(placement.slots_a_device(), 2);
  EXPECT_EQ(placement.instances(), 20);
  EXPECT_THAT(placement.layers[1][4], ElementsAre(2, 6));
  EXPECT_EQ(placement.slots(0), data_rows()[0]);
}

TEST(Placement, BecomesAPlan) {
  const Plan plan = to_plan(dealt(data_rows(), 5), facts(Topology::grid(1, 5)));
  validate(plan, "plan");
  EXPECT_EQ(plan.copies(), 4);
  EXPECT_EQ(plan.top_k, 2);
  const auto& of_2 = plan.layers[1].experts[2];
  EXPECT_THAT(of_2, ElementsAre(Instance{2, 1.0}, Instance{4, 1.0}));
}

TEST(Placement, SlotsOfOneExpertOnADeviceBecomeItsWeight) {
  FoldedSlots folded;
  const Plan plan = to_plan(dealt({{0, 0, 1, 0}}, 2), facts(Topology::grid(1, 2)), &folded);
  validate(plan, "plan");
  EXPECT_EQ(folded.slots, 1);
  EXPECT_THAT(plan.layers[0].experts[0], ElementsAre(Instance{0, 2.0}, Instance{1, 1.0}));
  EXPECT_THAT(plan.layers[0].experts[1], ElementsAre(Instance{1, 1.0}));
}

TEST(Placement, PlansComeBackWithTheirInstances) {
  Dice dice(1);
  for (int round = 0; round < 50; ++round) {
    const Topology topology = Topology::grid(1 + dice.below(3), 1 + dice.below(3));
    const Plan plan = random_plan(dice, topology, 1 + dice.below(12), 1 + dice.below(3));
    const Plan back = to_plan(from_plan(plan), facts(topology));
    for (std::size_t l = 0; l < plan.layers.size(); ++l)
      EXPECT_EQ(back.layers[l].experts, plan.layers[l].experts);
  }
}

TEST(Placement, Refuses) {
  const auto error = [](std::vector<std::vector<int>> rows, const PlacementHints& hints = {}) {
    return error_of([&] { placement_of_rows(rows, hints, "f"); });
  };
  EXPECT_THAT(error({}), HasSubstr("f: got no layer"));
  EXPECT_THAT(error({{}}), HasSubstr("no slot"));
  EXPECT_THAT(error({{0, 1}, {0, 0}}), HasSubstr("MoE layer 1: got no slot for expert 1"));
  EXPECT_THAT(error({{0, 1}, {0, 1, 1}}), HasSubstr("got 3 slots, wanted 2, as in layer 0"));
  EXPECT_THAT(error({{0, 1}}, {.num_experts = 3, .layers = 0, .choice = {}}),
              HasSubstr("no slot for expert 2"));
  EXPECT_THAT(error({{0, 2}}, {.num_experts = 2, .layers = 0, .choice = {}}),
              HasSubstr("got expert 2, wanted experts 0 to 1"));
  EXPECT_THAT(error_of([] { dealt({{0, 1, 2}}, 2); }), HasSubstr("a multiple of 2"));
  EXPECT_THAT(error_of([] {
                SlotPlacement placement = dealt({{0, 1}}, 2);
                deal_to_devices(placement, 1, "f");
              }),
              HasSubstr("got 2 devices, wanted 1"));
}

}  // namespace
}  // namespace gracemoe
