// From what the ranks told and the links took to what is wrong with a cluster, and what to do. Pure
// functions: the same facts give the same findings.
#pragma once
#include <string>
#include <vector>

#include "doctor/rank_facts.h"
#include "runtime/calibrate.h"
#include "topology/topology.h"

namespace gracemoe {

enum class Severity { kGood, kWarning, kProblem };
const char* to_string(Severity severity);  // "ok", "warning", "problem"

struct Finding {
  Severity severity = Severity::kGood;
  std::string check;    // "cores", "shared memory", ...
  std::string message;  // what was found
  std::string advice;   // what to do; empty where it is good
};

struct Examination {
  Topology topology;
  bool declared = false;         // the topology is the command line's, not MPI's
  std::vector<RankFacts> ranks;  // [devices]
  Calibration links;             // of which only links are filled
};

// At least one finding for every check that was made, in the order to print.
std::vector<Finding> judge(const Examination& examination);

// 0: all good; 1: warnings; 2: problems.
int exit_code_of(const std::vector<Finding>& findings);

// The parts of judge().
void judge_placement(const Examination& e, std::vector<Finding>& findings);  // nodes, cores
void judge_memory(const Examination& e, std::vector<Finding>& findings);
void judge_sameness(const Examination& e, std::vector<Finding>& findings);  // programs, model, plan
void judge_links(const Examination& e, std::vector<Finding>& findings);

// "rank 3 (node1)", "ranks 0, 1 (node0)".
std::string ranks_text(const Examination& e, const std::vector<int>& ranks);

}  // namespace gracemoe
