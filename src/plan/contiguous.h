// The baseline every engine starts from: device d holds experts [d*n/D, (d+1)*n/D), sizes that
// differ by at most one, no copies.
#pragma once
#include "plan/plan.h"

namespace gracemoe {

// The first expert after device's: device d holds [contiguous_end(d - 1), contiguous_end(d)).
int contiguous_end(int experts, int devices, int device);

Plan contiguous_plan(const PlanTarget& target);

}  // namespace gracemoe
