// An examination and its findings, for people and scripts.
#pragma once
#include <string>
#include <vector>

#include "doctor/findings.h"
#include "report/text_table.h"

namespace gracemoe {

// Who is where, then one line a finding with its advice below, then the verdict.
std::string doctor_text(const Examination& examination, const std::vector<Finding>& findings,
                        Colour colour);
// {"format": "gracemoe-doctor", "version": 1, ...}; docs/formats.md.
std::string doctor_json(const Examination& examination, const std::vector<Finding>& findings);

}  // namespace gracemoe
