// How a launcher shows itself in the environment. No MPI needed: a single process must be able to
// ask without starting it.
#include <cstdlib>
#include <string_view>

#include "exchange/transport.h"

namespace gracemoe {
namespace {

// Set by the launcher for each process of a job: Open MPI, MPICH and Intel MPI and srun --mpi=pmi2
// (PMI_SIZE), PMIx servers (srun --mpi=pmix, prun), MVAPICH2.
constexpr const char* kJobVariables[] = {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "PMIX_RANK",
                                         "MV2_COMM_WORLD_SIZE"};
// Slurm's counts are set in a plain allocation too, so only with a way to reach its PMI.
constexpr const char* kSlurmWays[] = {
    "SLURM_PMI_FD", "PMI_FD", "PMI_RANK", "PMI_JOBID", "SLURM_PMIX_MAPPING_SERV", "PMIX_NAMESPACE"};

}  // namespace

bool launched_by_mpi(const std::function<const char*(const char*)>& get) {
  if (const char* forced = get("GRACEMOE_MPI"); forced != nullptr && *forced != '\0') {
    return std::string_view(forced) != "0";
  }
  for (const char* name : kJobVariables) {
    if (get(name) != nullptr) return true;
  }
  const char* tasks = get("SLURM_STEP_NUM_TASKS");
  if (tasks == nullptr) tasks = get("SLURM_NTASKS");
  if (tasks == nullptr || std::atoi(tasks) < 2) return false;
  for (const char* name : kSlurmWays) {
    if (get(name) != nullptr) return true;
  }
  return false;
}

bool MpiSession::launched_by_mpi() {
  return gracemoe::launched_by_mpi([](const char* name) { return std::getenv(name); });
}

}  // namespace gracemoe
