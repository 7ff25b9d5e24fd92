// A plan that rank 0 made, on every rank.
#pragma once
#include <memory>
#include <string>

#include "exchange/transport.h"
#include "plan/plan.h"

namespace gracemoe {

// Collective. `text`: the plan's on rank 0, ignored elsewhere. `name` is for errors.
std::shared_ptr<const Plan> share_plan(const std::string& text, const std::string& name,
                                       Transport& transport);

}  // namespace gracemoe
