// One layer at a ladder of numbers of copies: what each number can buy.
#pragma once
#include <cstdint>
#include <vector>

#include "planner/device_search.h"
#include "planner/layer_budget.h"

namespace gracemoe {

struct LayerCandidate {
  LayerOption
      option;  // cost: visits, moving, and imbalance at its price, without a bound's penalty
  double visits = 0;
  double bound = 0;  // that the places were searched with
  int relief = 0;    // of the copies, those beside others of the same expert and node, for balance
  double even = 1;   // max / mean without those
  std::uint64_t seed = 0;
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

// The places as they are: alone, and with more and more copies inside nodes, as long as these help
// balance. max / mean is that of devices under a quick search, expected on new text.
std::vector<LayerCandidate> candidates_of(const VisitState& state, const SearchCluster& cluster,
                                          std::uint64_t seed);
// The devices of that quick search.
LayerPlan layer_of(const LayerCandidate& candidate, const VisitProblem& problem,
                   const SearchCluster& cluster);
// Drops candidates that have another one beside them that is no worse in any respect.
void keep_best(std::vector<LayerCandidate>& curve);

struct CurveSearch {
  std::vector<int> ladder;
  Annealing annealing;
  std::uint64_t seed = 0;
};
// Candidates for each number of the ladder: from the best of `starts` (whose copies are dropped,
// and which are brought within_room), each number from the one before it.
std::vector<LayerCandidate> search_curve(const VisitProblem& problem,
                                         const std::vector<PlaceLists>& starts,
                                         const SearchCluster& cluster, const CurveSearch& search);
// The same from a given plan, to which copies are added and from which they are taken; gentle, so
// that what is good stays.
std::vector<LayerCandidate> search_around(const VisitProblem& problem, const PlaceLists& start,
                                          const SearchCluster& cluster, const CurveSearch& search);

}  // namespace gracemoe
