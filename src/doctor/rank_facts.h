// What one rank of a job tells of itself and of the machine it runs on.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "metrics/machine.h"
#include "topology/topology.h"

namespace gracemoe {

struct RankFacts {
  int rank = 0, node = 0;
  std::string host, boot;  // boot: of the kernel; equal where ranks share a machine
  MachineInfo machine;
  int machine_cores = 0;              // of the whole machine; machine.cores: that this rank may use
  std::vector<int> cores;             // numbers of those it may use, ascending
  std::int64_t memory_available = 0;  // bytes, 0: unknown
  std::int64_t shm_total = 0, shm_free = 0;  // /dev/shm
  std::string shm_error;                     // why a file there could not be made; empty: it could
  // Set by examine(): why this rank's node cannot share memory as the exchange does; empty: it can,
  // or the rank has no neighbours.
  std::string sharing_error;
  std::string version, program, mpi;               // program: a hash of the executable
  std::string kernels, kernels_error;              // why there are none; empty: there are
  int threads = 0;                                 // that a run would use on this rank
  std::map<std::string, std::string> environment;  // of kWatched, those that are set
  std::vector<std::string> interfaces;             // "eth0 10.0.0.1/24": up, not loopback, IPv4
  std::string model, model_error;  // fingerprint and digest of the weights; why there is none
  std::string plan, plan_error;    // a hash; why it cannot be used
  std::int64_t weight_bytes = 0;   // that this rank would hold; 0: no model named
  // Set by examine(), not told by the rank: its clock minus rank 0's, and how sure that is.
  double clock_offset_s = 0, clock_error_s = 0;
};

struct FactsRequest {
  std::string version;      // of this program
  std::string mpi;          // library's name
  std::string model, plan;  // folder, file; empty: not asked
  std::string isa;          // as CpuOptions
  int threads = 0;
};

// Nothing here throws: what cannot be learnt stays empty or is one of the errors above.
RankFacts learn_facts(const FactsRequest& request, const Topology& topology, int rank,
                      const std::string& host);

std::string facts_text(const RankFacts& facts);  // JSON, for messages and files
RankFacts parse_facts(const std::string& text);

}  // namespace gracemoe
