// What a plan was chosen from, as text for terminals.
#pragma once
#include <string>

#include "plan/plan.h"
#include "report/text_table.h"
#include "topology/cluster.h"

namespace gracemoe {

// One line: the ratios at the layers' knees and what the groups hold there, against equal sizes.
// "" if no layer has a curve.
std::string ratio_choice_text(const Plan& plan);

// Every layer's curve of deviation S and utilisation U, ratios with the same groups on one line,
// the choice marked. "" if no layer has a curve.
std::string ratio_curve_text(const Plan& plan, Colour colour);

// What each step of memory buys and where this plan lies; judged_on: "on the text planned on" or
// what else the figures are of. "" if the plan has no curve.
std::string memory_curve_text(const Plan& plan, const std::string& judged_on, Colour colour);

// What each device holds of the memory that it has for experts' weights, over all layers; of more
// than 16 devices the fullest 16. "" if no device's memory is known.
std::string device_memory_text(const Plan& plan, const Cluster& cluster, double expert_bytes,
                               Colour colour);

}  // namespace gracemoe
