// Inputs for the tests of the search on routing traces.
#pragma once
#include <algorithm>
#include <vector>

#include "base/error.h"
#include "plan/contiguous.h"
#include "planner/device_search.h"
#include "planner/evaluate.h"
#include "planner/load_inputs.h"
#include "planner/random_inputs.h"
#include "planner/visit_state.h"

namespace gracemoe {

inline std::size_t at(int i) {
  return static_cast<std::size_t>(i);
}

// Tokens as lists of experts, and the same as bits.
struct TokenLists {
  std::vector<std::vector<int>> experts;  // [tokens]
  std::vector<int> part;                  // [tokens]
  int num_experts = 0, parts = 1;

  TokenBits bits() const {
    TokenBits bits(num_experts, static_cast<std::int64_t>(experts.size()), parts);
    for (std::size_t t = 0; t < experts.size(); ++t)
      for (const int e : experts[t]) bits.select(static_cast<std::int64_t>(t), e, part[t]);
    return bits;
  }
};

// Exactly `top_k` of the experts each, low ids more often.
inline TokenLists random_tokens(Random& random, int tokens, int experts, int top_k, int parts) {
  TokenLists lists;
  lists.num_experts = experts;
  lists.parts = parts;
  for (int t = 0; t < tokens; ++t) {
    std::vector<int> chosen;
    while (static_cast<int>(chosen.size()) < top_k) {
      const int e = std::min(random.below(experts), random.below(experts));
      if (std::find(chosen.begin(), chosen.end(), e) == chosen.end()) chosen.push_back(e);
    }
    lists.experts.push_back(chosen);
    lists.part.push_back(random.below(parts));
  }
  return lists;
}

// Each expert on 1 .. `most` random places.
inline PlaceLists random_places(Random& random, int experts, int places, int most) {
  PlaceLists lists;
  for (int e = 0; e < experts; ++e) {
    std::vector<int> order;
    for (int p = 0; p < places; ++p) order.insert(order.begin() + random.below(p + 1), p);
    order.resize(at(1 + random.below(std::min(most, places))));
    lists.push_back(order);
  }
  return lists;
}

inline VisitStream random_stream(Random& random, int places, int experts, bool all) {
  VisitStream stream;
  for (int p = 0; p < places; ++p)
    stream.share.push_back(random.below(4) == 0 ? 0 : random_unit(random));
  for (int e = 0; e < experts; ++e) stream.takes.push_back(all || random.below(3) > 0 ? 1 : 0);
  stream.local = random.below(3) > 0;
  return stream;
}

// A problem with everything that the contract allows. Refers to itself: not copied.
struct VisitCase {
  VisitCase(std::uint64_t seed, int places) {
    Random random(seed);
    const int experts = 2 + random.below(9), top_k = 1 + random.below(std::min(experts, 5));
    tokens = random_tokens(random, 1 + random.below(90), experts, top_k, 1 + random.below(3));
    bits = tokens.bits();
    VisitProblem& p = problem;
    p.tokens = &bits;
    p.top_k = top_k;
    p.places = places;
    for (int s = random.below(3); s >= 0; --s)
      p.streams.push_back(random_stream(random, places, experts, s == 0));
    for (int i = 0; i < places; ++i) {
      for (int j = 0; j < places; ++j) p.visit_cost.push_back(random.below(5) / 2.0);
      p.capacity.push_back((1 + random_unit(random)) / places);
      p.max_experts.push_back(experts);
    }
    p.step_tokens = random.below(2) * 30 * random_unit(random);
    p.balance_bound = 1 + random_unit(random);
    p.imbalance_cost = random_unit(random);
    if (random.below(2) == 0)
      for (int i = 0; i < experts * places; ++i)
        p.presence_cost.push_back(random.below(2) * random_unit(random));
  }
  VisitCase(const VisitCase&) = delete;
  VisitCase& operator=(const VisitCase&) = delete;

  TokenLists tokens;
  TokenBits bits{1, 0};
  VisitProblem problem;
};

// A trace in which the devices see the same tokens: one sequence for each, of all of them. What is
// counted by replay is then the mean over homes.
inline RoutingTrace at_every_home(const RoutingTrace& trace, int devices) {
  RoutingTrace all = trace;
  all.sequence.clear();
  all.experts.clear();
  for (int d = 0; d < devices; ++d) {
    all.sequence.insert(all.sequence.end(), trace.sequence.size(), d);
    all.experts.insert(all.experts.end(), trace.experts.begin(), trace.experts.end());
  }
  return all;
}

// A plan of the trace's shape with these layers.
inline Plan plan_of(const RoutingTrace& trace, const Topology& topology,
                    std::vector<LayerPlan> layers) {
  Plan plan;
  plan.preset = "test";
  plan.num_experts = trace.num_experts;
  plan.top_k = trace.top_k;
  plan.topology = topology;
  plan.layers = std::move(layers);
  return plan;
}

inline Plan in_order(const RoutingTrace& trace, const Topology& topology) {
  PlanTarget target;
  target.num_experts = trace.num_experts;
  target.top_k = trace.top_k;
  target.layers = trace.layers;
  target.topology = topology;
  return contiguous_plan(target);
}

// Random groups of experts that are only ever chosen together: token t's in layer l is the
// ((t + l) % groups)-th.
inline RoutingTrace planted_trace(Random& random, int tokens, int groups, int size, int layers) {
  RoutingTrace trace;
  trace.model = "planted";
  trace.num_experts = groups * size;
  trace.top_k = size;
  trace.layers = layers;
  std::vector<std::uint16_t> ids;
  for (int e = 0; e < groups * size; ++e)
    ids.insert(ids.begin() + random.below(e + 1), static_cast<std::uint16_t>(e));
  for (int t = 0; t < tokens; ++t) {
    trace.sequence.push_back(t / 8);
    for (int l = 0; l < layers; ++l) {
      const auto members = ids.begin() + (t + l) % groups * size;
      trace.experts.insert(trace.experts.end(), members, members + size);
    }
  }
  return trace;
}

// [devices] instances over all layers.
inline std::vector<int> held(const std::vector<LayerPlan>& layers, const Topology& topology) {
  std::vector<int> counts(at(topology.devices()));
  for (const LayerPlan& layer : layers)
    for (const auto& instances : layer.experts)
      for (const Instance& i : instances) ++counts[at(i.device)];
  return counts;
}

// Instances anywhere: each expert on 1 .. `most` devices.
inline std::vector<LayerPlan> random_layers(Random& random, const Topology& topology, int layers,
                                            int experts, int most) {
  std::vector<LayerPlan> plans(at(layers));
  for (LayerPlan& layer : plans)
    for (const auto& devices : random_places(random, experts, topology.devices(), most)) {
      layer.experts.emplace_back();
      for (const int d : devices) layer.experts.back().push_back({d, 0.1 + random_unit(random)});
    }
  return plans;
}

}  // namespace gracemoe
