#include <algorithm>
#include <map>
#include <set>

#include "base/progress.h"
#include "doctor/findings.h"
#include "doctor/system_facts.h"

namespace gracemoe {
namespace {

using Groups = std::map<std::string, std::vector<int>>;  // what ranks have in common: the ranks

Groups by_machine(const Examination& e) {
  Groups machines;
  for (const RankFacts& rank : e.ranks)
    machines[rank.boot.empty() ? rank.host : rank.boot].push_back(rank.rank);
  return machines;
}

const RankFacts& facts_of(const Examination& e, int rank) {
  return e.ranks[static_cast<std::size_t>(rank)];
}

void judge_nodes(const Examination& e, const Groups& machines, std::vector<Finding>& findings) {
  std::string text = e.topology.to_string() + " (nodes x devices), " +
                     (e.declared ? "as declared" : "as MPI's shared memory shows") + ", on " +
                     std::to_string(machines.size()) +
                     (machines.size() == 1 ? " machine" : " machines");
  for (const auto& [boot, ranks] : machines) {
    std::set<int> nodes;
    for (const int rank : ranks) nodes.insert(facts_of(e, rank).node);
    if (nodes.size() < 2 || e.declared) continue;
    findings.push_back({Severity::kWarning, "nodes",
                        ranks_text(e, ranks) +
                            " run on one machine, but MPI finds no memory that "
                            "they share: they count as " +
                            std::to_string(nodes.size()) + " nodes",
                        "containers of one machine: give them one IPC namespace and one /dev/shm, "
                        "or leave it where this is meant"});
  }
  findings.push_back({Severity::kGood, "nodes", text, ""});
}

void judge_crowding(const Examination& e, const std::vector<int>& ranks,
                    std::vector<Finding>& findings) {
  const RankFacts& first = facts_of(e, ranks.front());
  int threads = 0;
  for (const int rank : ranks) threads += facts_of(e, rank).threads;
  const int cores = first.machine_cores;
  const std::string counts = ranks_text(e, ranks) + ": " + std::to_string(threads) +
                             " threads on " + std::to_string(cores) + " cores";
  if (threads <= cores) {
    findings.push_back({Severity::kGood, "cores", counts, ""});
    return;
  }
  std::string advice = "start at most one rank a core, or fewer --threads";
  const auto yield = first.environment.find("OMPI_MCA_mpi_yield_when_idle");
  if (yield == first.environment.end() || yield->second == "0")
    advice += "; for a try-out add --mca mpi_yield_when_idle 1, or waiting ranks hold the cores";
  findings.push_back({Severity::kWarning, "cores", counts + ": they take turns", advice});
}

// Bound ranks: to cores of their own, and to as many as there are.
void judge_binding(const Examination& e, const std::vector<int>& ranks,
                   std::vector<Finding>& findings) {
  std::map<int, std::vector<int>> on_core;  // of ranks that are bound
  std::set<int> used;
  bool bound = false;
  for (const int rank : ranks) {
    const RankFacts& f = facts_of(e, rank);
    used.insert(f.cores.begin(), f.cores.end());
    if (static_cast<int>(f.cores.size()) >= f.machine_cores) continue;
    bound = true;
    for (const int core : f.cores) on_core[core].push_back(rank);
  }
  if (!bound) return;
  for (const auto& [core, sharers] : on_core) {
    if (sharers.size() < 2) continue;
    findings.push_back(
        {Severity::kProblem, "binding",
         ranks_text(e, sharers) + " are bound to the same core " + std::to_string(core),
         "mpirun --bind-to none, or --map-by slot:PE=<cores a rank>"});
    return;
  }
  const int cores = facts_of(e, ranks.front()).machine_cores;
  if (static_cast<int>(used.size()) < cores)
    findings.push_back({Severity::kWarning, "binding",
                        ranks_text(e, ranks) + " may use cores " +
                            ranges({used.begin(), used.end()}) + " of " + std::to_string(cores) +
                            ": the others stand idle",
                        "mpirun --bind-to none, or --map-by slot:PE=<cores a rank>"});
}

}  // namespace

void judge_placement(const Examination& e, std::vector<Finding>& findings) {
  const Groups machines = by_machine(e);
  judge_nodes(e, machines, findings);
  for (const auto& [boot, ranks] : machines) {
    judge_crowding(e, ranks, findings);
    judge_binding(e, ranks, findings);
  }
}

namespace {

// Ranks whose nodes cannot share memory as the exchange does; --intra auto then takes messages.
void judge_sharing(const Examination& e, std::vector<Finding>& findings) {
  if (e.topology.devices() == e.topology.nodes()) return;
  Groups troubles;
  for (const RankFacts& f : e.ranks) troubles[f.sharing_error].push_back(f.rank);
  for (const auto& [trouble, ranks] : troubles) {
    if (trouble.empty())
      findings.push_back({Severity::kGood, "shared memory",
                          ranks_text(e, ranks) + " can map their neighbours' memory", ""});
    else
      findings.push_back(
          {Severity::kWarning, "shared memory",
           ranks_text(e, ranks) + " cannot map their neighbours': " + trouble,
           "rows pass in messages there (--intra auto does so), about half as fast"});
  }
}

// MPI's own memory between the ranks of a machine.
void judge_shm(const Examination& e, std::vector<Finding>& findings) {
  constexpr std::int64_t kLittleShm = std::int64_t{256} << 20;
  std::vector<int> without, little;
  std::int64_t least = -1;
  for (const RankFacts& f : e.ranks) {
    if (!f.shm_error.empty())
      without.push_back(f.rank);
    else if (f.shm_free < kLittleShm)
      little.push_back(f.rank);
    least = least < 0 ? f.shm_free : std::min(least, f.shm_free);
  }
  if (!without.empty())
    findings.push_back({Severity::kProblem, "shared memory",
                        "/dev/shm of " + ranks_text(e, without) +
                            " cannot be used: " + facts_of(e, without.front()).shm_error,
                        "mount a tmpfs there that ranks may write to, or free what fills it"});
  if (!little.empty())
    findings.push_back({Severity::kWarning, "shared memory",
                        "/dev/shm of " + ranks_text(e, little) + " has " +
                            human_bytes(static_cast<double>(least)) + " free",
                        "give it more: docker run --shm-size 4g, or mount -o remount,size=4g"});
  if (without.empty() && little.empty())
    findings.push_back(
        {Severity::kGood, "shared memory",
         "/dev/shm has " + human_bytes(static_cast<double>(least)) + " free or more on every rank",
         ""});
}

}  // namespace

void judge_memory(const Examination& e, std::vector<Finding>& findings) {
  judge_sharing(e, findings);
  judge_shm(e, findings);
  for (const auto& [boot, ranks] : by_machine(e)) {
    std::int64_t wanted = 0;
    for (const int rank : ranks) wanted += facts_of(e, rank).weight_bytes;
    const std::int64_t there = facts_of(e, ranks.front()).memory_available;
    if (wanted == 0) continue;
    const bool enough = there == 0 || wanted < there;
    findings.push_back({enough ? Severity::kGood : Severity::kProblem, "memory",
                        "weights of " + ranks_text(e, ranks) + ": " +
                            human_bytes(static_cast<double>(wanted)) +
                            ", memory available: " + human_bytes(static_cast<double>(there)),
                        enough ? ""
                               : "more nodes, fewer copies (plan --memory-budget), or end "
                                 "what else uses the memory"});
  }
}

}  // namespace gracemoe
