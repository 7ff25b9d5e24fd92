#include "planner/visit_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "planner/search_inputs.h"

namespace gracemoe {
namespace {

// The definitions, with sets of places per token.
class SlowState {
 public:
  SlowState(const VisitProblem& problem, const TokenLists& tokens, PlaceLists places)
      : problem_(problem), tokens_(tokens), places_(std::move(places)) {}

  const PlaceLists& places() const { return places_; }
  bool holds(int e, int p) const {
    return std::find(places_[at(e)].begin(), places_[at(e)].end(), p) != places_[at(e)].end();
  }
  int served_by(const VisitStream& stream, int e, int arrival) const {
    return stream.local && holds(e, arrival) ? arrival : places_[at(e)].front();
  }

  double visits() const {
    double sum = 0;
    for (const VisitStream& stream : problem_.streams)
      for (int from = 0; from < problem_.places; ++from)
        for (const auto& experts : tokens_.experts) {
          std::set<int> visited;
          for (const int e : experts)
            if (stream.takes[at(e)] != 0) visited.insert(served_by(stream, e, from));
          visited.erase(from);
          for (const int to : visited)
            sum += stream.share[at(from)] * problem_.visit_cost[at(from * problem_.places + to)];
        }
    return tokens_.experts.empty() ? 0 : sum / static_cast<double>(tokens_.experts.size());
  }

  // Part of the view's (token, expert) pairs that are the expert's and served on the place.
  double flow(int view, int expert, int place) const {
    double mine = 0, all = 0;
    for (std::size_t t = 0; t < tokens_.experts.size(); ++t) {
      if (view > 0 && tokens_.part[t] != view - 1) continue;
      for (const int e : tokens_.experts[t]) {
        ++all;
        if (e != expert) continue;
        for (const VisitStream& stream : problem_.streams)
          for (int from = 0; from < problem_.places && stream.takes[at(e)] != 0; ++from)
            if (served_by(stream, e, from) == place) mine += stream.share[at(from)];
      }
    }
    return all > 0 ? mine / all : 0;
  }

  double max_over_mean(int view) const {
    double most = 0, sum = 0, capacity = 0;
    for (int p = 0; p < problem_.places; ++p) {
      double work = 0;
      for (int e = 0; e < tokens_.num_experts; ++e) {
        const double part = flow(view, e, p);
        work += problem_.step_tokens > 0
                    ? 1 - std::exp(-part * problem_.step_tokens * problem_.top_k)
                    : part;
      }
      most = std::max(most, work / problem_.capacity[at(p)]);
      sum += work;
      capacity += problem_.capacity[at(p)];
    }
    if (problem_.step_tokens > 0) return sum > 0 ? most * capacity / sum : 0;
    return most;
  }

  double max_over_mean() const {
    std::vector<double> ratios;
    for (int view = 0; view < (tokens_.parts > 1 ? tokens_.parts + 1 : 1); ++view)
      ratios.push_back(max_over_mean(view));
    return expected_on_new_text(ratios);
  }

  double cost() const {
    const double ratio = max_over_mean();
    double sum = visits() + problem_.imbalance_cost * ratio +
                 kOverBound * std::max(0.0, ratio - problem_.balance_bound);
    for (std::size_t e = 0; e < places_.size() && !problem_.presence_cost.empty(); ++e)
      for (const int p : places_[e]) sum += problem_.presence_cost[e * at(problem_.places) + at(p)];
    return sum;
  }

  void apply(const Change& c) {
    auto& list = places_[at(c.expert)];
    if (c.add >= 0) list.push_back(c.add);
    if (c.remove >= 0) std::erase(list, c.remove);
    std::erase(list, c.main);
    std::sort(list.begin(), list.end());
    list.insert(list.begin(), c.main);
  }

 private:
  const VisitProblem& problem_;
  const TokenLists& tokens_;
  PlaceLists places_;
};

// Any change that the contract allows: add, remove, both, or only another main place.
Change random_change(Random& random, const SlowState& state, int expert, int places) {
  std::vector<int> held = state.places()[at(expert)], free;
  for (int p = 0; p < places; ++p)
    if (!state.holds(expert, p)) free.push_back(p);
  Change c{expert, -1, -1, 0};
  if (!free.empty() && random.below(3) > 0)
    c.add = free[at(random.below(static_cast<int>(free.size())))];
  if ((held.size() > 1 || c.add >= 0) && random.below(3) > 0)
    c.remove = held[at(random.below(static_cast<int>(held.size())))];
  if (c.add >= 0) held.push_back(c.add);
  std::erase(held, c.remove);
  const int main = state.places()[at(expert)].front();
  const bool keep = main != c.remove && random.below(2) == 0;
  c.main = keep ? main : held[at(random.below(static_cast<int>(held.size())))];
  return c;
}

void expect_same(const VisitState& state, const SlowState& slow) {
  const VisitProblem& p = state.problem();
  EXPECT_NEAR(state.visits(), slow.visits(), 1e-9);
  EXPECT_NEAR(state.max_over_mean(), slow.max_over_mean(), 1e-9);
  EXPECT_NEAR(state.cost(), slow.cost(), 1e-8);
  EXPECT_EQ(state.instance_lists(), slow.places());
  int instances = 0;
  for (int e = 0; e < p.tokens->experts(); ++e) {
    EXPECT_EQ(state.instances(e), static_cast<int>(slow.places()[at(e)].size()));
    EXPECT_EQ(state.main(e), slow.places()[at(e)].front());
    instances += state.instances(e);
    for (int place = 0; place < p.places; ++place) {
      EXPECT_EQ(state.holds(e, place), slow.holds(e, place));
      EXPECT_NEAR(state.flow(e, place), slow.flow(0, e, place), 1e-9);
    }
  }
  EXPECT_EQ(state.copies(), instances - p.tokens->experts());
  for (int place = 0; place < p.places; ++place) {
    int held = 0;
    for (int e = 0; e < p.tokens->experts(); ++e) held += slow.holds(e, place);
    EXPECT_EQ(state.experts_on(place), held);
  }
}

// Lists as VisitState gives them back.
PlaceLists sorted_behind_main(PlaceLists lists) {
  for (auto& list : lists) std::sort(list.begin() + 1, list.end());
  return lists;
}

TEST(VisitState, CountsWhatItsSlowTwinCounts) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 1 + static_cast<int>(seed % 5);
    VisitCase c(seed, places);
    Random random(1000 + seed);
    const PlaceLists lists =
        sorted_behind_main(random_places(random, c.tokens.num_experts, places, 1 + places / 2));
    expect_same(VisitState(c.problem, lists), SlowState(c.problem, c.tokens, lists));
  }
}

TEST(VisitState, DeltaAndApplyFollowTheSlowTwin) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 1 + static_cast<int>(seed % 5);
    VisitCase c(seed, places);
    Random random(2000 + seed);
    const PlaceLists lists =
        sorted_behind_main(random_places(random, c.tokens.num_experts, places, places));
    VisitState state(c.problem, lists);
    SlowState slow(c.problem, c.tokens, lists);
    for (int step = 0; step < 8; ++step) {
      const int e = random.below(c.tokens.num_experts);
      const Change change = random_change(random, slow, e, places);
      const double before = slow.cost(), told = state.delta(change);
      slow.apply(change);
      EXPECT_NEAR(told, slow.cost() - before, 1e-8);
      state.apply(change);
    }
    expect_same(state, slow);
  }
}

// Any two changes, even where both experts leave, or join, the same place for the same tokens.
TEST(VisitState, DeltaOfTwoExpertsIsThatOfOneAfterTheOther) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    const int places = 1 + static_cast<int>(seed % 5);
    VisitCase c(seed, places);
    Random random(3000 + seed);
    const PlaceLists lists =
        sorted_behind_main(random_places(random, c.tokens.num_experts, places, places));
    const VisitState state(c.problem, lists);
    const SlowState slow(c.problem, c.tokens, lists);
    for (int pair = 0; pair < 30; ++pair) {
      const int e = random.below(c.tokens.num_experts), f = random.below(c.tokens.num_experts);
      if (e == f) continue;
      const Change a = random_change(random, slow, e, places);
      const Change b = random_change(random, slow, f, places);
      VisitState after = state;
      after.apply(a);
      after.apply(b);
      EXPECT_NEAR(state.delta(a, b), after.cost() - state.cost(), 1e-9);
      EXPECT_NEAR(state.delta(b, a), state.delta(a, b), 1e-9);
    }
  }
}

TEST(VisitState, LongWalksKeepTheCounters) {
  for (const int places : {2, 3, 5}) {
    SCOPED_TRACE(places);
    VisitCase c(77 + at(places), places);
    Random random(at(places));
    const PlaceLists lists = random_places(random, c.tokens.num_experts, places, places);
    VisitState state(c.problem, lists);
    SlowState slow(c.problem, c.tokens, lists);
    for (int step = 0; step < 2000; ++step) {
      const Change change = random_change(random, slow, random.below(c.tokens.num_experts), places);
      state.apply(change);
      slow.apply(change);
    }
    expect_same(state, slow);
    const VisitState fresh(c.problem, state.instance_lists());
    EXPECT_NEAR(state.cost(), fresh.cost(), 1e-9);
    EXPECT_NEAR(state.visits(), fresh.visits(), 1e-9);
  }
}

// Rows that fill words exactly, and not: unused bits must never count.
TEST(VisitState, AnyNumberOfTokens) {
  for (const int tokens : {0, 1, 63, 64, 65, 511, 512, 513, 1100}) {
    SCOPED_TRACE(tokens);
    Random random(5);
    VisitCase c(5, 3);
    c.tokens = random_tokens(random, tokens, c.tokens.num_experts, c.problem.top_k, 2);
    c.bits = c.tokens.bits();
    const PlaceLists lists = sorted_behind_main(random_places(random, c.tokens.num_experts, 3, 2));
    VisitState state(c.problem, lists);
    SlowState slow(c.problem, c.tokens, lists);
    const Change change = random_change(random, slow, 0, 3);
    state.apply(change);
    slow.apply(change);
    expect_same(state, slow);
  }
}

TEST(VisitState, RefusesListsThatAreNoPlacement) {
  VisitCase c(1, 2);
  PlaceLists lists(at(c.tokens.num_experts), {0});
  const auto build = [&] { VisitState(c.problem, lists).cost(); };
  EXPECT_NO_THROW(build());
  lists[1] = {};
  EXPECT_THROW(build(), Error);
  lists[1] = {1, 1};
  EXPECT_THROW(build(), Error);
  lists[1] = {2};
  EXPECT_THROW(build(), Error);
  lists.pop_back();
  EXPECT_THROW(build(), Error);
}

TEST(TokenBits, CountsAndShares) {
  Random random(3);
  const TokenLists lists = random_tokens(random, 700, 9, 3, 4);
  const TokenBits bits = lists.bits();
  const auto has = [&](std::size_t t, int e) {
    return std::count(lists.experts[t].begin(), lists.experts[t].end(), e) > 0;
  };
  EXPECT_EQ(bits.words() % 8, 0);
  EXPECT_EQ(bits.views(), 5);
  for (int a = 0; a < 9; ++a) {
    std::int64_t alone = 0, both = 0, without = 0;
    std::vector<double> of_part(4);
    for (std::size_t t = 0; t < 700; ++t) {
      alone += has(t, a);
      both += has(t, a) && has(t, 1);
      without += has(t, a) && has(t, 1) && !has(t, 2);
      of_part[at(lists.part[t])] += has(t, a);
    }
    EXPECT_EQ(count_bits(bits.row(a), bits.words()), alone);
    EXPECT_EQ(count_and(bits.row(a), bits.row(1), bits.words()), both);
    EXPECT_EQ(count_and_not(bits.row(a), bits.row(1), bits.row(2), bits.words()), without);
    EXPECT_EQ(bits.load()[at(a)], static_cast<double>(alone));
    EXPECT_DOUBLE_EQ(bits.share(0, a), static_cast<double>(alone) / 2100);
    for (int part = 0; part < 4; ++part) {
      const auto tokens = std::count(lists.part.begin(), lists.part.end(), part);
      EXPECT_DOUBLE_EQ(bits.share(part + 1, a),
                       of_part[at(part)] / (3 * static_cast<double>(tokens)));
    }
  }
}

TEST(TokenBits, ASubsetKeepsRowsAndShares) {
  Random random(4);
  const TokenBits bits = random_tokens(random, 600, 9, 3, 3).bits();
  const std::vector<int> some{7, 0, 4};
  const TokenBits part = bits.subset(some);
  EXPECT_EQ(part.experts(), 3);
  EXPECT_EQ(part.tokens(), 600);
  EXPECT_EQ(part.views(), bits.views());
  for (int i = 0; i < 3; ++i) {
    const int e = some[at(i)];
    EXPECT_TRUE(std::equal(part.row(i), part.row(i) + part.words(), bits.row(e)));
    EXPECT_EQ(part.load()[at(i)], bits.load()[at(e)]);
    for (int view = 0; view < bits.views(); ++view)
      EXPECT_EQ(part.share(view, i), bits.share(view, e));
  }
}

TEST(TokenBits, RefusesWhatIsOutOfRange) {
  TokenBits bits(4, 10, 2);
  EXPECT_NO_THROW(bits.select(9, 3, 1));
  EXPECT_THROW(bits.select(10, 0), Error);
  EXPECT_THROW(bits.select(-1, 0), Error);
  EXPECT_THROW(bits.select(0, 4), Error);
  EXPECT_THROW(bits.select(0, 0, 2), Error);
}

TEST(TokenBits, ALayerOfATrace) {
  const RoutingTrace trace = random_trace(6, 200, 12, 3, 2);
  const TokenBits all = layer_bits(trace, 1, 1000);
  EXPECT_EQ(all.tokens(), 200);
  for (int e = 0; e < 12; ++e)
    for (int t = 0; t < 200; ++t) {
      const auto chosen = trace.chosen(t, 1);
      const bool bit = (all.row(e)[t / 64] >> (t % 64) & 1) != 0;
      EXPECT_EQ(bit, std::find(chosen.begin(), chosen.end(), e) != chosen.end());
    }
}

// Of a trace too long, every sequence keeps its share of the tokens.
TEST(TokenBits, ALayerIsSampledEvenly) {
  RoutingTrace trace;
  trace.num_experts = 10;  // each sequence has an expert of its own
  trace.top_k = 1;
  trace.layers = 1;
  for (int t = 0; t < 1000; ++t) {
    trace.sequence.push_back(t / 100);
    trace.experts.push_back(static_cast<std::uint16_t>(t / 100));
  }
  const TokenBits some = layer_bits(trace, 0, 250);
  EXPECT_EQ(some.tokens(), 250);
  for (const double load : some.load()) EXPECT_EQ(load, 25);
  RoutingTrace empty = trace;
  empty.sequence.clear();
  empty.experts.clear();
  EXPECT_EQ(layer_bits(empty, 0, 250).tokens(), 0);
}

TEST(TokenBits, OnNewTextRatiosDifferAsTheirPartsDo) {
  const auto expected = [](std::vector<double> ratios) { return expected_on_new_text(ratios); };
  EXPECT_EQ(expected({1.2}), 1.2);
  EXPECT_EQ(expected({1.2, 1.5}), 1.2);  // one part says nothing about chance
  EXPECT_DOUBLE_EQ(expected({1.2, 1.4, 1.6}), 1.2 + std::sqrt(2.0) * 0.3);
  EXPECT_DOUBLE_EQ(expected({1.2, 1.4, 0, 1.6}), 1.2 + std::sqrt(2.0) * 0.3);  // 0: no tokens
  EXPECT_DOUBLE_EQ(expected({1.2, 1.3, 1.3, 1.3}), 1.2 + 0.1);
  EXPECT_EQ(expected({1.2, 1.1, 1.1, 1.1}), 1.2);  // never less than on the whole
}

}  // namespace
}  // namespace gracemoe
