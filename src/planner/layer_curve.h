// One layer at a ladder of numbers of copies: what each number can buy.
#pragma once
#include <cstdint>
#include <vector>

#include "planner/device_search.h"
#include "planner/layer_budget.h"

namespace gracemoe {

struct LayerCandidate {
  LayerOption option;  // cost without the penalty beyond the bound
  double visits = 0;
  double bound = 0;         // that it was searched with
  LayerPlan layer;          // on devices: packed, without search
  double device_ratio = 1;  // its max / mean on the same text
  PlaceLists places;
};

// Numbers of copies to try, rising from 0: sixteenths of the experts up to one copy of each, wider
// steps beyond, up to instances everywhere; none above `most`.
std::vector<int> copy_ladder(int experts, int places, int most);

// The same where every place has room; else single instances leave the places that hold more than
// fit, those that cost least first.
PlaceLists within_room(const VisitProblem& problem, PlaceLists lists);

// Each expert's main instance only, heaviest first to the place that has least for its capacity.
PlaceLists pack_places(const VisitProblem& problem);

// The instances' places of a plan, main one first.
PlaceLists places_of(const LayerPlan& layer, const SearchCluster& cluster);

// As it is, unsearched.
LayerCandidate candidate_of(const VisitState& state, const SearchCluster& cluster);

struct CurveSearch {
  std::vector<int> ladder;
  Annealing annealing;
  std::uint64_t seed = 0;
};
// A candidate for each number of the ladder: from the best of `starts` (whose copies are dropped,
// and which are brought within_room), each number from the one before it.
std::vector<LayerCandidate> search_curve(const VisitProblem& problem,
                                         const std::vector<PlaceLists>& starts,
                                         const SearchCluster& cluster, const CurveSearch& search);
// The same from a given plan, to which copies are added and from which they are taken; gentle, so
// that what is good stays.
std::vector<LayerCandidate> search_around(const VisitProblem& problem, const PlaceLists& start,
                                          const SearchCluster& cluster, const CurveSearch& search);

}  // namespace gracemoe
