// Runs a program as a user would and keeps what it printed.
#pragma once
#include <string>
#include <vector>

namespace gracemoe {

struct ProcessResult {
  int exit_code = 0;  // 128 + signal if it was killed by one
  std::string out, err;
};

// Runs argv[0] with its arguments. Kills it (exit code 137) if it runs longer than `limit_s`.
ProcessResult run_process(const std::vector<std::string>& argv, int limit_s = 120);

// mpirun -np ranks argv..., on loopback, ranks allowed to outnumber cores.
std::vector<std::string> under_mpirun(int ranks, const std::vector<std::string>& argv);

}  // namespace gracemoe
