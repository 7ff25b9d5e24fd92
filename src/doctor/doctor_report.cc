#include "doctor/doctor_report.h"

#include <algorithm>

#include "base/json.h"
#include "base/progress.h"
#include "doctor/system_facts.h"

namespace gracemoe {
namespace {

std::string ranks_table(const Examination& e, Colour colour) {
  std::vector<TextRow> rows{
      {{"rank", "node", "host", "cores", "threads", "memory free", "/dev/shm free", "kernels"}}};
  for (const RankFacts& f : e.ranks)
    rows.push_back(
        {{std::to_string(f.rank), std::to_string(f.node), f.host,
          ranges(f.cores) + " of " + std::to_string(f.machine_cores), std::to_string(f.threads),
          human_bytes(static_cast<double>(f.memory_available)),
          human_bytes(static_cast<double>(f.shm_free)), f.kernels}});
  return text_table(rows, 3, colour);
}

std::string verdict(const std::vector<Finding>& findings) {
  const auto count = [&](Severity severity) {
    return std::count_if(findings.begin(), findings.end(),
                         [&](const Finding& f) { return f.severity == severity; });
  };
  const auto problems = count(Severity::kProblem), warnings = count(Severity::kWarning);
  if (problems + warnings == 0) return "healthy\n";
  return std::to_string(problems) + " problem(s), " + std::to_string(warnings) + " warning(s)\n";
}

OrderedJson json_of(const LinkSpec& link, const LinkCalibration& state) {
  if (!state.measured) return nullptr;
  return {{"bytes_per_s", link.bytes_per_s}, {"latency_s", link.latency_s}};
}

}  // namespace

std::string doctor_text(const Examination& e, const std::vector<Finding>& findings, Colour colour) {
  std::string text = ranks_table(e, colour) + "\n";
  for (const Finding& f : findings) {
    text +=
        std::string(to_string(f.severity)) + ": " + printable(f.check + ": " + f.message) + "\n";
    if (!f.advice.empty()) text += "    " + printable(f.advice) + "\n";
  }
  return text + verdict(findings);
}

std::string doctor_json(const Examination& e, const std::vector<Finding>& findings) {
  OrderedJson ranks = OrderedJson::array(), found = OrderedJson::array();
  for (const RankFacts& f : e.ranks) ranks.push_back(OrderedJson::parse(facts_text(f)));
  for (const Finding& f : findings)
    found.push_back({{"severity", to_string(f.severity)},
                     {"check", f.check},
                     {"message", f.message},
                     {"advice", f.advice}});
  const Cluster& c = e.links.cluster;
  const OrderedJson json = {{"format", "gracemoe-doctor"},
                            {"version", 1},
                            {"exit_code", exit_code_of(findings)},
                            {"topology", e.topology.to_string()},
                            {"declared", e.declared},
                            {"links",
                             {{"intra_node", json_of(c.intra_node, e.links.intra_node)},
                              {"inter_node", json_of(c.inter_node, e.links.inter_node)}}},
                            {"findings", found},
                            {"ranks", ranks}};
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace gracemoe
