#include "doctor/findings.h"

#include <algorithm>
#include <set>

namespace gracemoe {

const char* to_string(Severity severity) {
  switch (severity) {
    case Severity::kGood:
      return "ok";
    case Severity::kWarning:
      return "warning";
    case Severity::kProblem:
      return "problem";
  }
  return "?";
}

std::vector<Finding> judge(const Examination& examination) {
  std::vector<Finding> findings;
  judge_placement(examination, findings);
  judge_memory(examination, findings);
  judge_sameness(examination, findings);
  judge_links(examination, findings);
  return findings;
}

int exit_code_of(const std::vector<Finding>& findings) {
  int code = 0;
  for (const Finding& finding : findings) code = std::max(code, static_cast<int>(finding.severity));
  return code;
}

std::string ranks_text(const Examination& e, const std::vector<int>& ranks) {
  std::string text = ranks.size() == 1 ? "rank " : "ranks ";
  std::set<std::string> hosts;
  constexpr std::size_t kMost = 8;
  for (std::size_t i = 0; i < ranks.size(); ++i) {
    if (i < kMost) text += (i > 0 ? ", " : "") + std::to_string(ranks[i]);
    hosts.insert(e.ranks[static_cast<std::size_t>(ranks[i])].host);
  }
  if (ranks.size() > kMost) text += ", ... (" + std::to_string(ranks.size()) + " in all)";
  std::string names;
  for (const std::string& host : hosts) names += (names.empty() ? "" : ", ") + host;
  return text + " (" + names + ")";
}

}  // namespace gracemoe
