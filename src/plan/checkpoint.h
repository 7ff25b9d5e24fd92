// Whether a plan and what it is used with are of one checkpoint.
#pragma once
#include <string>

#include "plan/plan.h"

namespace gracemoe {

// Whether the plan is known to be of other weights than these: both fingerprints are told, and
// differ.
bool other_checkpoint(const Plan& plan, const std::string& fingerprint);
// "gracemoe-demo (fingerprint 9f86d081884c7d65)", for messages.
std::string checkpoint_text(const std::string& model, const std::string& fingerprint);
// A warning for people where the plan is of another checkpoint than `file`, which is of this model
// and fingerprint; "" where it is not, or nobody knows.
std::string checkpoint_warning(const Plan& plan, const std::string& plan_name,
                               const std::string& file, const std::string& model,
                               const std::string& fingerprint);

}  // namespace gracemoe
