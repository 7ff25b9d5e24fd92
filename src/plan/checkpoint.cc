#include "plan/checkpoint.h"

namespace gracemoe {

bool other_checkpoint(const Plan& plan, const std::string& fingerprint) {
  return !plan.fingerprint.empty() && !fingerprint.empty() && plan.fingerprint != fingerprint;
}

std::string checkpoint_text(const std::string& model, const std::string& fingerprint) {
  return (model.empty() ? "an unnamed model" : model) + " (fingerprint " + fingerprint + ")";
}

std::string checkpoint_warning(const Plan& plan, const std::string& plan_name,
                               const std::string& file, const std::string& model,
                               const std::string& fingerprint) {
  if (!other_checkpoint(plan, fingerprint)) return "";
  return "warning: " + plan_name + " is a plan for " +
         checkpoint_text(plan.model, plan.fingerprint) + ", " + file + " is of " +
         checkpoint_text(model, fingerprint) +
         ": figures of the two together say nothing about either checkpoint";
}

}  // namespace gracemoe
