#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "doctor/findings.h"

namespace gracemoe {
namespace {

constexpr double kSlowNetwork = 1e9 / 8;  // bytes a second: gigabit Ethernet
constexpr double kSlowMemory = 1e9;
constexpr double kFarClock = 1;  // second

// Those off from their class by more than calibration's tolerance are kept by themselves.
template <typename Overrides, typename Name>
void judge_class(const char* check, const LinkCalibration& state, const LinkSpec& typical,
                 const Overrides& own, const Name& name, std::vector<Finding>& findings) {
  if (!state.trouble.empty())
    findings.push_back({Severity::kWarning, check,
                        fmt::format("{} of {} links could not be measured: {}", state.failed,
                                    state.links, state.trouble),
                        "check again while the cores are idle, or for more --seconds"});
  if (!state.measured) return;
  findings.push_back({Severity::kGood, check, to_string(typical) + " each way", ""});
  for (const auto& [key, link] : own)
    if (link.bytes_per_s < typical.bytes_per_s || link.latency_s > typical.latency_s)
      findings.push_back({Severity::kWarning, check, name(key) + ": " + to_string(link),
                          "look for a wrong interface, a slower port, or other traffic; gracemoe "
                          "calibrate tells the planner"});
}

bool chosen(const RankFacts& f) {
  return f.environment.count("OMPI_MCA_btl_tcp_if_include") > 0 ||
         f.environment.count("UCX_NET_DEVICES") > 0;
}

void judge_interfaces(const Examination& e, std::vector<Finding>& findings) {
  if (e.topology.nodes() < 2 || e.declared) return;
  for (const RankFacts& f : e.ranks) {
    if (f.interfaces.size() < 2 || chosen(f)) continue;
    std::string names;
    for (const std::string& name : f.interfaces) names += (names.empty() ? "" : ", ") + name;
    findings.push_back({Severity::kWarning, "interfaces",
                        f.host + " has several: " + names + "; MPI may take any",
                        "name the fast one: mpirun --mca btl_tcp_if_include 10.0.0.0/24 --mca "
                        "oob_tcp_if_include 10.0.0.0/24; firewalls must let its ports through"});
    return;
  }
}

void judge_clocks(const Examination& e, std::vector<Finding>& findings) {
  double worst = 0, error = 0;
  int rank = 0;
  for (const RankFacts& f : e.ranks) {
    if (std::abs(f.clock_offset_s) < std::abs(worst)) continue;
    worst = f.clock_offset_s;
    error = f.clock_error_s;
    rank = f.rank;
  }
  const std::string text = fmt::format("{} is {:.6f} s off rank 0's clock, give or take {:.6f} s",
                                       ranks_text(e, {rank}), worst, error);
  if (std::abs(worst) - error > kFarClock)
    findings.push_back({Severity::kWarning, "clocks", text,
                        "set the clocks by NTP (chrony): logs of the nodes cannot be compared"});
  else if (e.ranks.size() > 1)
    findings.push_back({Severity::kGood, "clocks", "at most " + text, ""});
}

}  // namespace

void judge_links(const Examination& e, std::vector<Finding>& findings) {
  const Cluster& c = e.links.cluster;
  judge_class(
      "inside nodes", e.links.intra_node, c.intra_node, c.node_overrides,
      [](int node) { return "node " + std::to_string(node); }, findings);
  judge_class(
      "between nodes", e.links.inter_node, c.inter_node, c.pair_overrides,
      [](const std::pair<int, int>& nodes) {
        return "nodes " + std::to_string(nodes.first) + " and " + std::to_string(nodes.second);
      },
      findings);
  if (e.links.inter_node.measured && c.inter_node.bytes_per_s < kSlowNetwork / 1.25)
    findings.push_back({Severity::kWarning, "between nodes",
                        "slower than gigabit Ethernet: " + to_string(c.inter_node),
                        "is it the interface you mean? mpirun --mca btl_tcp_if_include NET"});
  if (e.links.intra_node.measured && c.intra_node.bytes_per_s < kSlowMemory)
    findings.push_back({Severity::kWarning, "inside nodes",
                        "slower than shared memory should be: " + to_string(c.intra_node),
                        "let MPI use it: mpirun --mca btl self,vader,tcp; are the cores busy?"});
  judge_interfaces(e, findings);
  judge_clocks(e, findings);
}

}  // namespace gracemoe
