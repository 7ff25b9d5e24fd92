// The baseline every engine starts from: device d holds experts [d*n/D, (d+1)*n/D), sizes that
// differ by at most one, no copies.
#pragma once
#include "plan/plan.h"

namespace gracemoe {

Plan contiguous_plan(const PlanTarget& target);

}  // namespace gracemoe
