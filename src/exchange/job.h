// What the launcher's environment tells of the job, and what the machine tells of its processes:
// for words about ranks that are missing before MPI itself can tell anything.
#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace gracemoe {

struct Job {
  std::string id;                 // the same for all processes of a job; empty: unknown
  int rank = -1;                  // -1: unknown, so too the sizes
  int size = -1, size_here = -1;  // of the job; of its ranks on this machine
};
// From Open MPI's, PMIx's and PMI's variables. `get`: null where a variable is not set.
Job launched_job(const std::function<const char*(const char*)>& get);

struct JobProcess {
  int rank = 0, process = 0;
  char state = '?';     // of /proc/PID/stat: 'T' is stopped
  std::string program;  // its short name
};
// The processes of that job on this machine as far as this user may look, by rank and number; none
// where the job's id is unknown. `proc`: /proc, but for tests. Never fails.
std::vector<JobProcess> job_processes(const Job& job, const std::filesystem::path& proc);

// Who does not take part, such as "rank 1 (process 17, gracemoe) on this machine is stopped";
// "" where nothing is known. `program`: the short name of a process that does.
std::string who_is_missing(const Job& job, const std::vector<JobProcess>& processes,
                           const std::string& program);

}  // namespace gracemoe
