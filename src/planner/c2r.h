// C2R's placement (Zhang et al., "Advancing MoE Efficiency: A Collaboration-Constrained Routing
// (C2R) Strategy for Better Expert Parallelism Design", arXiv 2504.01337), without its routing,
// which prunes: a baseline of placement by co-activation.
//
// What is published: experts' co-activation is counted, each expert gets the list of the T experts
// it is most often selected with, and experts that collaborate closely are to share a device; the
// code at github.com/UNITES-Lab/c2r-moe stops at the lists. Choices made here:
// - one device, one list: T = n / D - 1, so that an expert and its list fill a device (sizes differ
//   by at most one);
// - devices are filled one after the other by the unplaced expert that is most specialised, having
//   the largest share of its collaborations in its list of unplaced experts, and that list. (Occult
//   starts from the most collaborative expert instead and grows by affinity to the whole group.)
// - since the aim is as much co-activation inside devices as possible, pairs of experts then change
//   places as long as that increases it.
#pragma once
#include "planner/affinity.h"

namespace gracemoe {

// [devices]. Ties go to the lower expert. Cost: experts^2 * log(experts) * devices, and experts^2
// for every round of exchanges (at most 100, usually below 10).
Groups c2r_groups(const Affinity& affinity, int devices);

}  // namespace gracemoe
