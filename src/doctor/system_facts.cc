#include "doctor/system_facts.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/hash.h"

namespace gracemoe {
namespace {

constexpr const char* kWatched[] = {"OMP_NUM_THREADS",
                                    "OMP_WAIT_POLICY",
                                    "OMP_PROC_BIND",
                                    "OMPI_MCA_btl",
                                    "OMPI_MCA_pml",
                                    "OMPI_MCA_btl_tcp_if_include",
                                    "OMPI_MCA_btl_tcp_if_exclude",
                                    "OMPI_MCA_oob_tcp_if_include",
                                    "OMPI_MCA_mpi_yield_when_idle",
                                    "OMPI_MCA_hwloc_base_binding_policy",
                                    "OMPI_MCA_rmaps_base_oversubscribe",
                                    "UCX_NET_DEVICES",
                                    "UCX_TLS"};

std::string reason() {
  return std::strerror(errno);
}

// Makes, fills and removes a file; "" or what failed.
std::string try_file(const std::string& folder) {
  std::string path = folder + "/gracemoe-doctor-XXXXXX";
  const int file = mkstemp(path.data());
  if (file < 0) return "making a file: " + reason();
  unlink(path.c_str());
  const int full = posix_fallocate(file, 0, 4096);
  close(file);
  return full == 0 ? "" : std::string("filling a page: ") + std::strerror(full);
}

}  // namespace

std::string boot_id() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  file >> id;
  return id;
}

std::vector<int> usable_core_numbers() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return cores;
  for (int core = 0; core < CPU_SETSIZE; ++core)
    if (CPU_ISSET(static_cast<std::size_t>(core), &set)) cores.push_back(core);
  return cores;
}

SharedMemoryFacts examine_shared_memory(const std::string& folder) {
  SharedMemoryFacts memory;
  struct statvfs about {};
  if (statvfs(folder.c_str(), &about) != 0) {
    memory.error = reason();
    return memory;
  }
  const auto block = static_cast<std::int64_t>(about.f_frsize);
  memory.total = static_cast<std::int64_t>(about.f_blocks) * block;
  memory.free = static_cast<std::int64_t>(about.f_bavail) * block;
  memory.error = try_file(folder);
  return memory;
}

std::map<std::string, std::string> watched_environment() {
  std::map<std::string, std::string> set;
  for (const char* name : kWatched)
    if (const char* value = std::getenv(name); value != nullptr) set[name] = value;
  return set;
}

std::string program_hash() {
  try {
    const std::string bytes = read_file("/proc/self/exe");
    return hex64(hash_bytes(std::as_bytes(std::span(bytes))));
  } catch (const Error&) {
    return "";
  }
}

std::string ranges(const std::vector<int>& numbers) {
  std::string text;
  for (std::size_t i = 0; i < numbers.size();) {
    std::size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1] == numbers[last] + 1) ++last;
    text += (text.empty() ? "" : ",") + std::to_string(numbers[i]);
    if (last > i) text += "-" + std::to_string(numbers[last]);
    i = last + 1;
  }
  return text;
}

}  // namespace gracemoe
