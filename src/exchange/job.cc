#include "exchange/job.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <fstream>
#include <iterator>
#include <map>
#include <system_error>

namespace gracemoe {
namespace {

namespace fs = std::filesystem;

int number(const char* text) {
  const std::string_view digits = text == nullptr ? "" : text;
  int value = -1;
  const char* end = digits.data() + digits.size();
  const auto [at, error] = std::from_chars(digits.data(), end, value);
  return error == std::errc() && at == end && value >= 0 ? value : -1;
}

std::string contents(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

// The value of a variable in /proc/PID/environ.
std::string variable(const std::string& environment, const std::string& name) {
  const std::string key = name + '=';
  for (std::size_t at = 0; at < environment.size();) {
    const std::size_t end = std::min(environment.find('\0', at), environment.size());
    if (environment.compare(at, key.size(), key) == 0)
      return environment.substr(at + key.size(), end - at - key.size());
    at = end + 1;
  }
  return "";
}

// "17 (some name) T 1 ...": the name may hold brackets itself.
void read_stat(const std::string& stat, JobProcess& process) {
  const std::size_t open = stat.find('('), close = stat.rfind(')');
  if (open == std::string::npos || close == std::string::npos || close + 2 >= stat.size()) return;
  process.program = stat.substr(open + 1, close - open - 1);
  process.state = stat[close + 2];
}

std::string name_of(const JobProcess& process) {
  return "rank " + std::to_string(process.rank) + " (process " + std::to_string(process.process) +
         ", " + process.program + ")";
}

// The process that stands for a rank: the program itself rather than a shell around it.
std::map<int, JobProcess> by_rank(const std::vector<JobProcess>& processes,
                                  const std::string& program) {
  std::map<int, JobProcess> ranks;
  for (const JobProcess& process : processes) {
    const auto [at, added] = ranks.emplace(process.rank, process);
    if (!added && at->second.program != program) at->second = process;
  }
  return ranks;
}

}  // namespace

Job launched_job(const std::function<const char*(const char*)>& get) {
  const auto first = [&](std::initializer_list<const char*> names) {
    for (const char* name : names)
      if (const int value = number(get(name)); value >= 0) return value;
    return -1;
  };
  Job job;
  if (const char* id = get("PMIX_NAMESPACE"); id != nullptr) job.id = id;
  job.rank = first({"OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK"});
  job.size = first({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"});
  job.size_here = first({"OMPI_COMM_WORLD_LOCAL_SIZE", "MPI_LOCALNRANKS"});
  return job;
}

std::vector<JobProcess> job_processes(const Job& job, const fs::path& proc) {
  std::vector<JobProcess> found;
  if (job.id.empty()) return found;
  std::error_code error;
  for (fs::directory_iterator entry(proc, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename();
    const int id = number(name.c_str());
    if (id <= 0) continue;
    const std::string environment = contents(entry->path() / "environ");
    if (variable(environment, "PMIX_NAMESPACE") != job.id) continue;
    JobProcess process;
    process.rank = number(variable(environment, "PMIX_RANK").c_str());
    process.process = id;
    read_stat(contents(entry->path() / "stat"), process);
    if (process.rank >= 0 && process.state != 'Z') found.push_back(process);
  }
  std::sort(found.begin(), found.end(), [](const JobProcess& a, const JobProcess& b) {
    return std::pair(a.rank, a.process) < std::pair(b.rank, b.process);
  });
  return found;
}

std::string who_is_missing(const Job& job, const std::vector<JobProcess>& processes,
                           const std::string& program) {
  const std::map<int, JobProcess> ranks = by_rank(processes, program);
  std::string text;
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : ", ") + more; };
  for (const auto& [rank, process] : ranks) {
    if (process.state == 'T' || process.state == 't')
      add(name_of(process) + " on this machine is stopped");
    else if (process.program != program)
      add(name_of(process) + " on this machine has not become " + program);
  }
  if (!text.empty() || ranks.empty()) return text;
  const int here = static_cast<int>(ranks.size());
  if (job.size == job.size_here) {
    for (int rank = 0; rank < job.size; ++rank)
      if (ranks.count(rank) == 0) add("rank " + std::to_string(rank) + " has no process");
  } else if (here < job.size_here) {
    add(std::to_string(job.size_here - here) + " of this machine's " +
        std::to_string(job.size_here) + " ranks have no process");
  } else if (here == job.size_here && here < job.size) {
    add("this machine's ranks are all here, so it is one of another machine");
  }
  return text;
}

}  // namespace gracemoe
