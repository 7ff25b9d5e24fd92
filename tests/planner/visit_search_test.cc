#include "planner/visit_search.h"

#include <gtest/gtest.h>

#include <limits>

#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

constexpr Annealing kShort{400};

// All experts of all tokens, from every place alike, on places alike.
VisitProblem plain_problem(const TokenBits& bits, int top_k, int places) {
  VisitProblem p;
  p.tokens = &bits;
  p.top_k = top_k;
  p.places = places;
  p.streams.push_back({std::vector<double>(at(places), 1.0 / places),
                       std::vector<char>(at(bits.experts()), 1), true});
  p.visit_cost.assign(at(places * places), 1);
  p.capacity.assign(at(places), 1.0 / places);
  p.max_experts.assign(at(places), bits.experts());
  return p;
}

// Calls fn with every placement without copies.
template <typename Fn>
void for_all_placements(int experts, int places, Fn&& fn) {
  PlaceLists lists(at(experts), {0});
  for (;;) {
    fn(lists);
    int e = 0;
    while (e < experts && ++lists[at(e)][0] == places) lists[at(e++)][0] = 0;
    if (e == experts) return;
  }
}

TEST(Anneal, NeverEndsWorseAndKeepsCopiesAndRoom) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 1 + static_cast<int>(seed % 5);
    VisitCase c(seed, places);
    Random random(seed);
    VisitState state(c.problem, random_places(random, c.tokens.num_experts, places, places));
    for (int p = 0; p < places; ++p)  // some places full, some not
      c.problem.max_experts[at(p)] = state.experts_on(p) + random.below(2);
    const double before = state.cost();
    const int copies = state.copies();
    // Hot enough that it ends anywhere.
    anneal(state, seed % 2 == 0 ? kShort : Annealing{200, 1e6, 1e6}, seed);
    EXPECT_LE(state.cost(), before + 1e-9);
    EXPECT_EQ(state.copies(), copies);
    for (int p = 0; p < places; ++p) EXPECT_LE(state.experts_on(p), c.problem.max_experts[at(p)]);
    EXPECT_NEAR(state.cost(), VisitState(c.problem, state.instance_lists()).cost(), 1e-8);
  }
}

TEST(Anneal, TheSeedDecides) {
  const VisitCase c(11, 3);
  Random random(1);
  const PlaceLists lists = random_places(random, c.tokens.num_experts, 3, 2);
  const auto result = [&](std::uint64_t seed) {
    VisitState state(c.problem, lists);
    anneal(state, kShort, seed);
    return state.instance_lists();
  };
  EXPECT_EQ(result(1), result(1));
  bool differ = false;
  for (std::uint64_t seed = 2; seed < 8; ++seed) differ = differ || result(1) != result(seed);
  EXPECT_TRUE(differ);
}

TEST(Anneal, WithoutProposalsNothingHappens) {
  const VisitCase c(12, 3);
  Random random(1);
  VisitState state(c.problem, random_places(random, c.tokens.num_experts, 3, 3));
  const PlaceLists before = state.instance_lists();
  anneal(state, {0}, 1);
  EXPECT_EQ(state.instance_lists(), before);
}

TEST(Anneal, FindsTheBestOfAllPlacements) {
  for (std::uint64_t seed = 0; seed < 12; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 2 + static_cast<int>(seed % 2), experts = places == 2 ? 8 : 6;
    Random random(seed);
    const TokenLists tokens = random_tokens(random, 60, experts, 2, 1);
    const TokenBits bits = tokens.bits();
    VisitProblem problem = plain_problem(bits, 2, places);
    problem.imbalance_cost = 0.3;
    double best = std::numeric_limits<double>::infinity();
    for_all_placements(experts, places, [&](const PlaceLists& lists) {
      best = std::min(best, VisitState(problem, lists).cost());
    });
    double found = std::numeric_limits<double>::infinity();
    for (std::uint64_t run = 0; run < 3; ++run) {
      VisitState state(problem, random_places(random, experts, places, 1));
      anneal(state, {6000}, run);
      found = std::min(found, state.cost());
    }
    EXPECT_NEAR(found, best, 1e-9);
  }
}

// Every change that is allowed, by fresh states: the least difference of costs.
double least_addition(const VisitState& state) {
  double least = std::numeric_limits<double>::infinity();
  for (int e = 0; e < state.problem().tokens->experts(); ++e)
    for (int p = 0; p < state.problem().places; ++p) {
      if (state.holds(e, p) || state.experts_on(p) >= state.problem().max_experts[at(p)]) continue;
      PlaceLists lists = state.instance_lists();
      lists[at(e)].push_back(p);
      least = std::min(least, VisitState(state.problem(), lists).cost() - state.cost());
    }
  return least;
}

TEST(Additions, TheBestOfAllThatFit) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 2 + static_cast<int>(seed % 3);
    VisitCase c(seed, places);
    Random random(seed);
    VisitState state(c.problem, random_places(random, c.tokens.num_experts, places, 2));
    for (int p = 0; p < places; ++p)
      c.problem.max_experts[at(p)] = state.experts_on(p) + random.below(3);
    const Change change = best_addition(state);
    const double least = least_addition(state);
    if (change.expert < 0) {
      EXPECT_EQ(least, std::numeric_limits<double>::infinity());
    } else {
      EXPECT_EQ(change.remove, -1);
      EXPECT_EQ(change.main, state.main(change.expert));
      EXPECT_NEAR(state.delta(change), least, 1e-9);
    }
  }
}

TEST(Additions, UntilThereAreEnoughOrNothingFits) {
  VisitCase c(21, 3);
  const int experts = c.tokens.num_experts;
  VisitState state(c.problem, PlaceLists(at(experts), {0}));
  add_copies(state, 2);
  EXPECT_EQ(state.copies(), 2);
  add_copies(state, 1);  // there are enough
  EXPECT_EQ(state.copies(), 2);
  add_copies(state, 1000);
  EXPECT_EQ(state.copies(), 2 * experts);  // everywhere
  EXPECT_LT(best_addition(state).expert, 0);
  c.problem.max_experts = {experts, 1, 0};
  VisitState tight(c.problem, PlaceLists(at(experts), {0}));
  add_copies(tight, 1000);
  EXPECT_EQ(tight.copies(), 1);
}

TEST(Removals, TheCheapestCopy) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 2 + static_cast<int>(seed % 3);
    const VisitCase c(seed, places);
    Random random(seed);
    VisitState state(c.problem, random_places(random, c.tokens.num_experts, places, places));
    while (state.copies() > 0) {
      const int copies = state.copies();
      const Change change = cheapest_removal(state);
      ASSERT_GE(change.expert, 0);
      EXPECT_TRUE(state.holds(change.expert, change.remove));
      EXPECT_NE(change.main, change.remove);
      // No removal that leaves the main instance where it is costs less.
      for (int e = 0; e < c.tokens.num_experts; ++e)
        for (int p = 0; p < places; ++p)
          EXPECT_TRUE(!state.holds(e, p) || state.main(e) == p ||
                      state.delta(change) <= state.delta({e, -1, p, state.main(e)}) + 1e-12);
      state.apply(change);
      EXPECT_EQ(state.copies(), copies - 1);
    }
    EXPECT_LT(cheapest_removal(state).expert, 0);
  }
}

}  // namespace
}  // namespace gracemoe
