// The machine a run was measured on. A figure without its machine cannot be compared with anything.
#pragma once
#include <cstdint>
#include <string>

namespace gracemoe {

struct MachineInfo {
  std::string cpu;                // "AMD EPYC 9654 96-Core Processor"; empty: unknown
  int cores = 0;                  // processors this process may run on; 0: unknown
  std::int64_t memory_bytes = 0;  // of the whole machine; 0: unknown
  std::string system;             // "Linux 6.1.0 x86_64"; empty: unknown
  friend bool operator==(const MachineInfo&, const MachineInfo&) = default;
};

// Never fails: what the system does not tell stays empty or 0.
MachineInfo this_machine();

}  // namespace gracemoe
