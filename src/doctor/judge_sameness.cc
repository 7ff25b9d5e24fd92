#include <functional>
#include <map>

#include "doctor/findings.h"

namespace gracemoe {
namespace {

using Groups = std::map<std::string, std::vector<int>>;

Groups by(const Examination& e, const std::function<std::string(const RankFacts&)>& of) {
  Groups groups;
  for (const RankFacts& f : e.ranks) groups[of(f)].push_back(f.rank);
  return groups;
}

std::string groups_text(const Examination& e, const Groups& groups) {
  std::string text;
  for (const auto& [value, ranks] : groups)
    text += (text.empty() ? "" : "; ") + (value.empty() ? "none" : value) + " on " +
            ranks_text(e, ranks);
  return text;
}

struct SameCheck {
  const char* check;
  const char* what;
  Severity otherwise;
  const char* advice;
  std::string (*of)(const RankFacts&);
};

void judge_same(const Examination& e, const SameCheck& check, std::vector<Finding>& findings) {
  const Groups groups = by(e, check.of);
  if (groups.size() == 1 && groups.begin()->first.empty()) return;  // an error says why
  if (groups.size() == 1)
    findings.push_back({Severity::kGood, check.check,
                        std::string(check.what) + " " + groups.begin()->first + " everywhere", ""});
  else
    findings.push_back({check.otherwise, check.check,
                        std::string(check.what) + " differs: " + groups_text(e, groups),
                        check.advice});
}

std::string environment_of(const RankFacts& f) {
  std::string text;
  for (const auto& [name, value] : f.environment)
    text.append(text.empty() ? "" : " ").append(name).append("=").append(value);
  return text;
}

void judge_environment(const Examination& e, std::vector<Finding>& findings) {
  const Groups groups = by(e, environment_of);
  if (groups.size() > 1)
    findings.push_back({Severity::kWarning, "environment",
                        "the ranks' settings differ: " + groups_text(e, groups),
                        "set them once: mpirun -x NAME=VALUE, --mca NAME VALUE"});
  else if (!groups.begin()->first.empty())
    findings.push_back({Severity::kGood, "environment", groups.begin()->first, ""});
}

void judge_errors(const Examination& e, const char* check, const char* advice,
                  std::string RankFacts::*error, std::vector<Finding>& findings) {
  Groups groups = by(e, [&](const RankFacts& f) { return f.*error; });
  groups.erase("");
  for (const auto& [text, ranks] : groups)
    findings.push_back({Severity::kProblem, check, ranks_text(e, ranks) + ": " + text, advice});
}

void judge_model(const Examination& e, std::vector<Finding>& findings) {
  judge_errors(e, "model", "the model folder must be whole, under one path, on every node",
               &RankFacts::model_error, findings);
  judge_errors(e, "plan", "plan again for these nodes and this model: gracemoe plan --help",
               &RankFacts::plan_error, findings);
  Groups models = by(e, [](const RankFacts& f) { return f.model; });
  models.erase("");
  if (models.size() == 1)
    findings.push_back({Severity::kGood, "model",
                        "fingerprint and digest " + models.begin()->first + " on " +
                            ranks_text(e, models.begin()->second),
                        ""});
  else if (models.size() > 1)
    findings.push_back({Severity::kProblem, "model",
                        "the weights differ: " + groups_text(e, models),
                        "copy one folder to every node, and compare its files there"});
  Groups plans = by(e, [](const RankFacts& f) { return f.plan; });
  plans.erase("");
  if (plans.size() == 1)
    findings.push_back({Severity::kGood, "plan",
                        plans.begin()->first + " on " + ranks_text(e, plans.begin()->second), ""});
  else if (plans.size() > 1)
    findings.push_back({Severity::kProblem, "plan", "the files differ: " + groups_text(e, plans),
                        "copy one plan to every node"});
}

}  // namespace

void judge_sameness(const Examination& e, std::vector<Finding>& findings) {
  static constexpr SameCheck kChecks[] = {
      {"program", "gracemoe", Severity::kProblem, "install one build of gracemoe on every node",
       [](const RankFacts& f) { return f.version + " (executable " + f.program + ")"; }},
      {"MPI", "the library", Severity::kProblem, "install one version of MPI on every node",
       [](const RankFacts& f) { return f.mpi; }},
      {"kernels", "the instruction set", Severity::kProblem,
       "name one that all machines have: --isa avx2", [](const RankFacts& f) { return f.kernels; }},
      {"processor", "the processor", Severity::kWarning,
       "gracemoe calibrate measures each device; plan --topology then takes it into account",
       [](const RankFacts& f) {
         return (f.machine.cpu.empty() ? std::string("unknown") : f.machine.cpu) + ", " +
                std::to_string(f.machine_cores) + " cores";
       }}};
  for (const SameCheck& check : kChecks) judge_same(e, check, findings);
  judge_errors(e, "kernels",
               "use other machines, or an instruction set that these have; --backend reference "
               "runs anywhere, slowly",
               &RankFacts::kernels_error, findings);
  judge_environment(e, findings);
  judge_model(e, findings);
}

}  // namespace gracemoe
