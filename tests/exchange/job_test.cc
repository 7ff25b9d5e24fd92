#include "exchange/job.h"

#include <gtest/gtest.h>

#include <map>

#include "base/files.h"
#include "support/temp_dir.h"

namespace gracemoe {
namespace {

using Variables = std::map<std::string, std::string>;

Job job_of(const Variables& variables) {
  return launched_job([&](const char* name) {
    const auto at = variables.find(name);
    return at == variables.end() ? nullptr : at->second.c_str();
  });
}

TEST(Job, IsKnownByTheLaunchersVariables) {
  const Job open_mpi = job_of({{"PMIX_NAMESPACE", "42"},
                               {"OMPI_COMM_WORLD_RANK", "3"},
                               {"OMPI_COMM_WORLD_SIZE", "8"},
                               {"OMPI_COMM_WORLD_LOCAL_SIZE", "4"}});
  EXPECT_EQ(open_mpi.id, "42");
  EXPECT_EQ(open_mpi.rank, 3);
  EXPECT_EQ(open_mpi.size, 8);
  EXPECT_EQ(open_mpi.size_here, 4);
  EXPECT_EQ(job_of({{"PMI_RANK", "2"}, {"PMI_SIZE", "4"}}).rank, 2);
  const Job none = job_of({{"OMPI_COMM_WORLD_RANK", "x1"}});
  EXPECT_EQ(none.id, "");
  EXPECT_EQ(none.rank, -1);
  EXPECT_EQ(none.size, -1);
}

class Processes : public testing::Test {
 protected:
  // A process as /proc shows it.
  void add(int id, const std::string& rank, const std::string& stat,
           const std::string& job = "42") {
    const std::filesystem::path at = proc_ / std::to_string(id);
    std::filesystem::create_directory(at);
    std::string environment = "HOME=/";
    environment += '\0' + ("PMIX_NAMESPACE=" + job) + '\0' + "PMIX_RANK=" + rank + '\0';
    write_file(at / "environ", environment);
    write_file(at / "stat", std::to_string(id) + " (" + stat + " 1 1");
  }
  std::string missing(int size, int size_here) const {
    Job job;
    job.id = "42";
    job.size = size;
    job.size_here = size_here;
    return who_is_missing(job, job_processes(job, proc_.path()), "gracemoe");
  }
  TempDir proc_;
};

TEST_F(Processes, OfThisJobAreFoundWithTheirState) {
  add(9, "1", "odd ) (name) T");
  add(7, "0", "gracemoe) S");
  add(8, "1", "gracemoe) S", "43");
  add(10, "2", "gracemoe) Z");  // ended
  add(11, "", "mpirun) S");
  std::filesystem::create_directory(proc_ / "12");  // of another user
  std::filesystem::create_directory(proc_ / "self");
  Job job;
  EXPECT_TRUE(job_processes(job, proc_.path()).empty());
  job.id = "42";
  EXPECT_TRUE(job_processes(job, "/nowhere").empty());
  const auto found = job_processes(job, proc_.path());
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].process, 7);
  EXPECT_EQ(found[1].rank, 1);
  EXPECT_EQ(found[1].program, "odd ) (name");
  EXPECT_EQ(found[1].state, 'T');
}

TEST_F(Processes, WhoIsMissingIsNamed) {
  EXPECT_EQ(missing(3, 3), "");  // nothing is known
  add(7, "0", "gracemoe) S");
  add(8, "1", "gracemoe) R");
  EXPECT_EQ(missing(3, 3), "rank 2 has no process");
  EXPECT_EQ(missing(5, 3), "1 of this machine's 3 ranks have no process");
  EXPECT_EQ(missing(3, 2), "this machine's ranks are all here, so it is one of another machine");
  EXPECT_EQ(missing(2, 2), "");
  add(9, "2", "sh) T");
  EXPECT_EQ(missing(3, 3), "rank 2 (process 9, sh) on this machine is stopped");
  add(9, "2", "sh) S");
  EXPECT_EQ(missing(3, 3), "rank 2 (process 9, sh) on this machine has not become gracemoe");
  add(10, "2", "gracemoe) S");  // the shell's child
  EXPECT_EQ(missing(3, 3), "");
}

}  // namespace
}  // namespace gracemoe
