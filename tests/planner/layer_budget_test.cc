#include "planner/layer_budget.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "planner/layer_curve.h"
#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

using ::testing::ElementsAre;
using Options = std::vector<std::vector<LayerOption>>;

struct Sums {
  int copies = 0;
  double cost = 0, ratio = 0;
};

Sums sums_of(const Options& layers, const std::vector<int>& chosen) {
  Sums sums;
  for (std::size_t l = 0; l < layers.size(); ++l) {
    const LayerOption& option = layers[l][at(chosen[l])];
    sums.copies += option.copies;
    sums.cost += option.cost;
    sums.ratio += option.max_over_mean / static_cast<double>(layers.size());
  }
  return sums;
}

template <typename Fn>
void for_all_choices(const Options& layers, Fn&& fn) {
  std::vector<int> chosen(layers.size());
  for (;;) {
    fn(sums_of(layers, chosen));
    std::size_t l = 0;
    while (l < layers.size() && ++chosen[l] == static_cast<int>(layers[l].size())) chosen[l++] = 0;
    if (l == layers.size()) return;
  }
}

// The first option of each has no copies; ratios differ by hundredths, if at all.
Options random_options(Random& random, int layers, int most_copies) {
  Options options;
  for (int l = 0; l < layers; ++l) {
    options.push_back({{0, random_unit(random), 1 + random.below(100) / 100.0}});
    for (int o = random.below(4); o > 0; --o)
      options.back().push_back(
          {random.below(most_copies + 1), random_unit(random), 1 + random.below(100) / 100.0});
  }
  return options;
}

TEST(LayerBudget, AgainstAllChoices) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Options layers = random_options(random, 1 + random.below(5), 9);
    const int budget = random.below(25);
    const double bound = 1 + random.below(100) / 100.0;
    const Sums got = sums_of(layers, choose_options(layers, budget, bound));
    EXPECT_LE(got.copies, budget);
    double least = std::numeric_limits<double>::infinity(), least_ratio = least;
    bool better = false;
    for_all_choices(layers, [&](const Sums& s) {
      if (s.copies > budget) return;
      least = std::min(least, s.cost);
      least_ratio = std::min(least_ratio, s.ratio);
      better = better || (s.cost < got.cost - 1e-9 && s.ratio <= got.ratio);
    });
    EXPECT_FALSE(better) << "another choice costs less and is balanced as well";
    EXPECT_LE(got.ratio, std::max(bound, least_ratio) + 1e-9);
    const Sums unbound = sums_of(layers, choose_options(layers, budget, 3));
    EXPECT_NEAR(unbound.cost, least, 1e-9);
  }
}

// Budgets are dealt in at most 2048 parts: a little may be left, never is anything overspent.
TEST(LayerBudget, LargeBudgetsAreKeptToo) {
  for (std::uint64_t seed = 0; seed < 10; ++seed) {
    Random random(seed);
    const Options layers = random_options(random, 3, 100'000);
    const int budget = random.below(200'000);
    const Sums got = sums_of(layers, choose_options(layers, budget, 3));
    EXPECT_LE(got.copies, budget);
    double least = std::numeric_limits<double>::infinity();
    const int spared = 3 * (budget / 2048 + 1);
    for_all_choices(layers, [&](const Sums& s) {
      if (s.copies <= budget - spared) least = std::min(least, s.cost);
    });
    EXPECT_LE(got.cost, least + 1e-9);
  }
}

TEST(LayerBudget, CopiesGoWhereTheyHelpMost) {
  const Options layers{{{0, 1.0, 1}, {4, 0.9, 1}}, {{0, 1.0, 1}, {4, 0.5, 1}}, {{0, 0.1, 1}}};
  EXPECT_THAT(choose_options(layers, 7, 1.1), ElementsAre(0, 1, 0));
  EXPECT_THAT(choose_options(layers, 8, 1.1), ElementsAre(1, 1, 0));
  EXPECT_THAT(choose_options(layers, 0, 1.1), ElementsAre(0, 0, 0));
  EXPECT_TRUE(choose_options({}, 5, 1.1).empty());
  EXPECT_THROW(choose_options({{{1, 0, 1}}}, 0, 1.1), Error);
}

TEST(LayerBudget, TheBoundIsOnTheMeanOverLayers) {
  // Cheap and uneven, or dear and even: one of two layers may be uneven.
  const Options layers{{{0, 1, 1.2}, {0, 3, 1.0}}, {{0, 1, 1.2}, {0, 2, 1.0}}};
  EXPECT_THAT(choose_options(layers, 0, 1.2), ElementsAre(0, 0));
  EXPECT_THAT(choose_options(layers, 0, 1.1), ElementsAre(0, 1));
  EXPECT_THAT(choose_options(layers, 0, 1.05), ElementsAre(1, 1));
  EXPECT_THAT(choose_options(layers, 0, 0.9), ElementsAre(1, 1));  // as near as can be
}

TEST(CopyLadder, RisesFromNoneToAllThatIsAllowed) {
  EXPECT_THAT(copy_ladder(4, 2, 100), ElementsAre(0, 1, 2, 3, 4));
  EXPECT_THAT(copy_ladder(4, 2, 2), ElementsAre(0, 1, 2));
  EXPECT_THAT(copy_ladder(4, 2, 0), ElementsAre(0));
  EXPECT_THAT(copy_ladder(1, 1, 100), ElementsAre(0));
  for (const int experts : {1, 5, 16, 100, 256})
    for (const int places : {1, 2, 3, 40})
      for (const int most : {0, 1, 7, experts, 3 * experts + 1, 1 << 30}) {
        const std::vector<int> ladder = copy_ladder(experts, places, most);
        EXPECT_EQ(ladder.front(), 0);
        EXPECT_EQ(ladder.back(), std::min(most, experts * (places - 1)));
        for (std::size_t i = 1; i < ladder.size(); ++i) {
          EXPECT_LT(ladder[i - 1], ladder[i]);
          EXPECT_TRUE(ladder[i] > experts || ladder[i] - ladder[i - 1] <= experts / 16 + 1);
        }
      }
}

SearchCluster uniform_cluster(const TokenLists& tokens, const char* topology) {
  return SearchCluster::uniform(Topology::parse(topology), tokens.num_experts);
}

TEST(PackPlaces, BalancesWithinTheRoom) {
  Random random(2);
  const TokenLists tokens = random_tokens(random, 400, 12, 3, 1);
  const TokenBits bits = tokens.bits();
  SearchCluster cluster = uniform_cluster(tokens, "3x1");
  cluster.capacity = {0.5, 0.25, 0.25};
  VisitProblem p = place_problem(bits, 3, cluster, {});
  EXPECT_LT(VisitState(p, pack_places(p)).max_over_mean(), 1.1);
  p.max_experts = {2, 3, 7};
  const VisitState full(p, pack_places(p));
  for (int place = 0; place < 3; ++place)
    EXPECT_EQ(full.experts_on(place), p.max_experts[at(place)]);
}

TEST(PlacesOf, NodesOnceInOrder) {
  LayerPlan layer;
  layer.experts = {{{3, 1}, {1, 0.5}, {2, 1}}, {{0, 1}}};
  SearchCluster cluster = SearchCluster::uniform(Topology::grid(2, 2), 2);
  EXPECT_THAT(places_of(layer, cluster), ElementsAre(ElementsAre(1, 0), ElementsAre(0)));
  cluster = SearchCluster::uniform(Topology::grid(1, 4), 2);
  EXPECT_THAT(places_of(layer, cluster), ElementsAre(ElementsAre(3, 1, 2), ElementsAre(0)));
}

// What a candidate says is true of its places, and more copies never cost more.
TEST(SearchCurve, SaysWhatItsPlacesCost) {
  Random random(9);
  const TokenLists tokens = random_tokens(random, 300, 12, 3, 4);
  const TokenBits bits = tokens.bits();
  for (const char* topology : {"2x2", "3x1", "1x3"}) {
    SCOPED_TRACE(topology);
    const SearchCluster cluster = uniform_cluster(tokens, topology);
    const VisitProblem p = place_problem(bits, 3, cluster, {1.2, 0.1, 0});
    const PlaceLists packed = pack_places(p);
    const CurveSearch search{copy_ladder(12, p.places, 12), {300}, 5};
    const auto curve = search_curve(p, {packed, packed}, cluster, search);
    ASSERT_EQ(curve.size(), search.ladder.size());
    for (std::size_t i = 0; i < curve.size(); ++i) {
      const VisitState state(p, curve[i].places);
      EXPECT_EQ(curve[i].option.copies, search.ladder[i]);
      EXPECT_EQ(state.copies(), search.ladder[i]);
      EXPECT_NEAR(curve[i].visits, state.visits(), 1e-9);
      EXPECT_NEAR(curve[i].option.max_over_mean,
                  std::max(state.max_over_mean(), curve[i].device_ratio), 1e-9);
      EXPECT_NEAR(curve[i].option.cost, state.visits() + 0.1 * state.max_over_mean(), 1e-9);
      EXPECT_EQ(curve[i].bound, 1.2);
      EXPECT_LE(curve[i].visits, curve[i > 0 ? i - 1 : 0].visits + 0.02);
    }
    const auto around = search_around(p, curve[4].places, cluster, search);
    ASSERT_EQ(around.size(), search.ladder.size() + 1);
    EXPECT_EQ(around[0].places, curve[4].places);
    for (std::size_t i = 0; i < curve.size(); ++i)
      EXPECT_EQ(around[i + 1].option.copies, search.ladder[i]);
  }
}

TEST(Dealt, InTurnUntilNoneIsLeftOrWanted) {
  EXPECT_EQ(dealt({3, 0, 1}, 10), (std::vector<int>{3, 0, 1}));
  EXPECT_EQ(dealt({3, 0, 1, 2}, 4), (std::vector<int>{2, 0, 1, 1}));
  EXPECT_EQ(dealt({3, 2}, 0), (std::vector<int>{0, 0}));
}

}  // namespace
}  // namespace gracemoe
