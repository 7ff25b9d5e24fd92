// What the operating system tells: small functions that never fail.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace gracemoe {

std::string boot_id();
std::vector<int> usable_core_numbers();  // of this process, ascending

struct SharedMemoryFacts {
  std::int64_t total = 0, free = 0;
  std::string error;  // empty: a file of a page could be made, written and removed
};
// `folder`: /dev/shm, but for tests.
SharedMemoryFacts examine_shared_memory(const std::string& folder);

// "eth0 10.0.0.1/24" of every IPv4 interface that is up and not loopback, in the system's order.
std::vector<std::string> network_interfaces();

// Of the variables that steer MPI and OpenMP, those that are set.
std::map<std::string, std::string> watched_environment();

// 16 hexadecimal digits over this executable's bytes; empty where it cannot be read.
std::string program_hash();

// "0-3,8": ascending numbers as a list of ranges.
std::string ranges(const std::vector<int>& numbers);

}  // namespace gracemoe
