#include "doctor/findings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/json.h"
#include "doctor/doctor_report.h"
#include "doctor/system_facts.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

RankFacts healthy_rank(int rank, int node) {
  RankFacts f;
  f.rank = rank;
  f.node = node;
  f.host = "node" + std::to_string(node);
  f.boot = "boot" + std::to_string(node);
  f.machine = {.cpu = "A CPU", .cores = 4, .memory_bytes = 1 << 30, .system = "Linux"};
  f.machine_cores = 4;
  f.cores = {0, 1, 2, 3};
  f.memory_available = 1 << 29;
  f.shm_total = f.shm_free = std::int64_t{1} << 30;
  f.version = "0.1.0";
  f.program = "00ff";
  f.mpi = "An MPI 1.0";
  f.kernels = "avx2";
  f.threads = 2;
  f.interfaces = {"eth0 10.0.0.1/24"};
  return f;
}

Examination healthy() {
  Examination e;
  e.topology = Topology::grid(2, 2);
  for (int rank = 0; rank < 4; ++rank) e.ranks.push_back(healthy_rank(rank, rank / 2));
  e.links.cluster = Cluster::uniform(e.topology);
  e.links.intra_node.measured = e.links.inter_node.measured = true;
  return e;
}

// The findings of one severity, one a line.
std::string told(const Examination& e, Severity severity) {
  std::string text;
  for (const Finding& f : judge(e)) {
    if (f.severity != severity) continue;
    EXPECT_EQ(f.advice.empty(), severity == Severity::kGood) << f.message;
    text += f.check + ": " + f.message + " -> " + f.advice + "\n";
  }
  return text;
}

TEST(Doctor, AHealthyClusterHasNeitherProblemsNorWarnings) {
  EXPECT_EQ(told(healthy(), Severity::kProblem), "");
  EXPECT_EQ(told(healthy(), Severity::kWarning), "");
  EXPECT_THAT(told(healthy(), Severity::kGood), HasSubstr("2x2 (nodes x devices)"));
  EXPECT_EQ(exit_code_of(judge(healthy())), 0);
  EXPECT_THAT(doctor_text(healthy(), judge(healthy()), Colour::kNever), HasSubstr("\nhealthy\n"));
}

TEST(Doctor, MoreThreadsThanCoresIsAWarning) {
  Examination e = healthy();
  e.ranks[2].threads = 4;
  const std::string text = told(e, Severity::kWarning);
  EXPECT_THAT(text, HasSubstr("ranks 2, 3 (node1): 6 threads on 4 cores"));
  EXPECT_THAT(text, HasSubstr("mpi_yield_when_idle 1"));
  EXPECT_EQ(exit_code_of(judge(e)), 1);
  for (RankFacts& f : e.ranks) f.environment["OMPI_MCA_mpi_yield_when_idle"] = "1";
  EXPECT_THAT(told(e, Severity::kWarning), Not(HasSubstr("mpi_yield_when_idle")));
}

TEST(Doctor, RanksOnOneCoreAreAProblemAndIdleCoresAWarning) {
  Examination e = healthy();
  e.ranks[0].cores = {1};
  e.ranks[1].cores = {1};
  EXPECT_THAT(
      told(e, Severity::kProblem),
      HasSubstr("ranks 0, 1 (node0) are bound to the same core 1 -> mpirun --bind-to none"));
  e.ranks[1].cores = {2};
  EXPECT_EQ(told(e, Severity::kProblem), "");
  EXPECT_THAT(told(e, Severity::kWarning), HasSubstr("may use cores 1-2 of 4"));
}

TEST(Doctor, SharedMemoryThatIsMissingOrSmall) {
  Examination e = healthy();
  e.ranks[3].shm_error = "Permission denied";
  e.ranks[2].shm_free = 64 << 20;
  EXPECT_THAT(told(e, Severity::kProblem), HasSubstr("/dev/shm of rank 3 (node1) cannot be used: "
                                                     "Permission denied"));
  EXPECT_THAT(told(e, Severity::kWarning),
              HasSubstr("/dev/shm of rank 2 (node1) has 67.1 MB free"));
  EXPECT_EQ(exit_code_of(judge(e)), 2);
}

TEST(Doctor, NodesThatCannotShareMemoryAreAWarning) {
  Examination e = healthy();
  EXPECT_THAT(told(e, Severity::kGood), HasSubstr("ranks 0, 1, 2, 3 (node0, node1) can map"));
  e.ranks[2].sharing_error = e.ranks[3].sharing_error = "making shared memory: got a limit";
  EXPECT_THAT(told(e, Severity::kWarning),
              HasSubstr("shared memory: ranks 2, 3 (node1) cannot map their neighbours': making "
                        "shared memory: got a limit -> rows pass in messages there"));
  EXPECT_THAT(told(e, Severity::kGood), HasSubstr("ranks 0, 1 (node0) can map"));
  e = healthy();
  e.topology = Topology::grid(4, 1);
  EXPECT_THAT(told(e, Severity::kGood), Not(HasSubstr("can map")));
}

TEST(Doctor, WeightsThatDoNotFitAreAProblem) {
  Examination e = healthy();
  for (RankFacts& f : e.ranks) f.weight_bytes = 1 << 28;
  EXPECT_THAT(told(e, Severity::kProblem), HasSubstr("memory: weights of ranks 0, 1 (node0): 536.9"
                                                     " MB, memory available: 536.9 MB"));
}

TEST(Doctor, WhatMustBeTheSameEverywhere) {
  Examination e = healthy();
  e.ranks[1].program = "00fe";
  e.ranks[2].mpi = "An MPI 2.0";
  e.ranks[3].kernels = "avx512";
  const std::string text = told(e, Severity::kProblem);
  EXPECT_THAT(text, HasSubstr("0.1.0 (executable 00fe) on rank 1 (node0)"));
  EXPECT_THAT(text, HasSubstr("An MPI 2.0 on rank 2 (node1)"));
  EXPECT_THAT(text, HasSubstr("--isa avx2"));
  e = healthy();
  e.ranks[3].machine.cpu = "Another";
  e.ranks[0].environment["OMP_NUM_THREADS"] = "3";
  EXPECT_THAT(told(e, Severity::kWarning), HasSubstr("Another, 4 cores on rank 3 (node1)"));
  EXPECT_THAT(told(e, Severity::kWarning), HasSubstr("OMP_NUM_THREADS=3 on rank 0 (node0)"));
}

TEST(Doctor, AMachineWithoutKernelsIsAProblem) {
  Examination e = healthy();
  for (RankFacts& f : e.ranks) f.kernels = "", f.kernels_error = "got a machine without AVX2";
  EXPECT_THAT(told(e, Severity::kProblem),
              HasSubstr("kernels: ranks 0, 1, 2, 3 (node0, node1): got a machine without AVX2"));
  EXPECT_THAT(told(e, Severity::kGood), Not(HasSubstr("kernels")));
  EXPECT_EQ(exit_code_of(judge(e)), 2);
  e = healthy();
  e.ranks[3].kernels = "", e.ranks[3].kernels_error = "no AVX-512";
  EXPECT_THAT(told(e, Severity::kProblem), HasSubstr("kernels: rank 3 (node1): no AVX-512"));
  EXPECT_THAT(told(e, Severity::kProblem), HasSubstr("differs: none on rank 3 (node1); avx2"));
}

TEST(Doctor, ModelAndPlan) {
  Examination e = healthy();
  for (RankFacts& f : e.ranks) f.model = "aa", f.plan = "bb";
  EXPECT_THAT(told(e, Severity::kGood), HasSubstr("model: fingerprint and digest aa"));
  e.ranks[1].model = "ab";
  e.ranks[2].plan = "bc";
  e.ranks[3].plan = "";
  e.ranks[3].plan_error = "plan.json: cannot be read";
  const std::string text = told(e, Severity::kProblem);
  EXPECT_THAT(text, HasSubstr("the weights differ: aa on ranks 0, 2, 3"));
  EXPECT_THAT(text, HasSubstr("the files differ: bb on ranks 0, 1"));
  EXPECT_THAT(text, HasSubstr("rank 3 (node1): plan.json: cannot be read"));
}

TEST(Doctor, SlowLinksInterfacesAndClocks) {
  Examination e = healthy();
  e.links.cluster.inter_node.bytes_per_s = 10e6;
  e.links.cluster.pair_overrides[{0, 1}] = {1e-3, 1e6};
  e.ranks[1].interfaces.emplace_back("docker0 172.17.0.1/16");
  e.ranks[2].clock_offset_s = -30;
  const std::string text = told(e, Severity::kWarning);
  EXPECT_THAT(text, HasSubstr("slower than gigabit Ethernet"));
  EXPECT_THAT(text, HasSubstr("nodes 0 and 1: "));
  EXPECT_THAT(text, HasSubstr("node0 has several: eth0 10.0.0.1/24, docker0 172.17.0.1/16"));
  EXPECT_THAT(text, HasSubstr("rank 2 (node1) is -30.000000 s off"));
  e.ranks[1].environment["OMPI_MCA_btl_tcp_if_include"] = "10.0.0.0/24";
  EXPECT_THAT(told(e, Severity::kWarning), Not(HasSubstr("has several")));
}

TEST(Doctor, LinksThatCouldNotBeMeasuredHaveNoFigures) {
  Examination e = healthy();
  e.links.inter_node = {false, 0, 1, 1, "nodes 0 and 1: messages took too long"};
  EXPECT_THAT(told(e, Severity::kWarning),
              HasSubstr("between nodes: 1 of 1 links could not be measured: nodes 0 and 1: "
                        "messages took too long -> check again"));
  EXPECT_THAT(told(e, Severity::kGood), Not(HasSubstr("between nodes")));
}

TEST(Doctor, OneMachineThatCountsAsSeveralNodes) {
  Examination e = healthy();
  for (RankFacts& f : e.ranks) f.boot = "boot", f.threads = 1;
  EXPECT_THAT(told(e, Severity::kWarning), HasSubstr("they count as 2 nodes"));
  e.declared = true;
  EXPECT_EQ(told(e, Severity::kWarning), "");
}

TEST(Doctor, JsonHoldsFactsAndFindings) {
  Examination e = healthy();
  e.ranks[3].threads = 9;
  const Json json = parse_json(doctor_json(e, judge(e)), "doctor");
  EXPECT_EQ(json["format"], "gracemoe-doctor");
  EXPECT_EQ(json["exit_code"], 1);
  EXPECT_EQ(json["ranks"].size(), 4U);
  EXPECT_EQ(json["ranks"][3]["threads"], 9);
  EXPECT_GT(json["links"]["inter_node"]["bytes_per_s"], 0);
}

TEST(RankFacts, TextReadsBack) {
  RankFacts f = healthy_rank(3, 1);
  f.environment["OMP_NUM_THREADS"] = "3";
  f.kernels_error = "no AVX2";
  f.model_error = "bad \xff name";  // not UTF-8
  f.weight_bytes = 7;
  const RankFacts back = parse_facts(facts_text(f));
  EXPECT_EQ(facts_text(back), facts_text(f));
  EXPECT_EQ(back.environment, f.environment);
  EXPECT_EQ(back.cores, f.cores);
}

TEST(SystemFacts, AnswersAreSound) {
  EXPECT_FALSE(usable_core_numbers().empty());
  EXPECT_EQ(ranges({0, 1, 2, 5, 7, 8}), "0-2,5,7-8");
  EXPECT_EQ(ranges({}), "");
  EXPECT_EQ(program_hash().size(), 16U);
  const TempDir folder;
  EXPECT_EQ(examine_shared_memory(folder.path()).error, "");
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_NE(examine_shared_memory("/nowhere/shm").error, "");
}

}  // namespace
}  // namespace gracemoe
