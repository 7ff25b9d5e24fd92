#include "support/process.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <fstream>
#include <iterator>
#include <thread>

#include "support/temp_dir.h"

namespace gracemoe {
namespace {

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

[[noreturn]] void become(const std::vector<std::string>& argv, const std::string& out,
                         const std::string& err) {
  setpgid(0, 0);  // so that a time-out reaches the whole family
  dup2(open("/dev/null", O_RDONLY), 0);
  dup2(open(out.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), 1);
  dup2(open(err.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), 2);
  std::vector<char*> args;
  for (const std::string& arg : argv) args.push_back(const_cast<char*>(arg.c_str()));
  args.push_back(nullptr);
  execvp(args[0], args.data());
  _exit(127);
}

}  // namespace

ProcessResult run_process(const std::vector<std::string>& argv, int limit_s) {
  const TempDir folder;
  const std::string out = folder / "out", err = folder / "err";
  const pid_t child = fork();
  if (child == 0) become(argv, out, err);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(limit_s);
  int status = 0;
  while (waitpid(child, &status, WNOHANG) == 0) {
    if (std::chrono::steady_clock::now() > end) {
      kill(-child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const int code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  return {code, contents(out), contents(err)};
}

std::vector<std::string> under_mpirun(int ranks, const std::vector<std::string>& argv) {
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  std::vector<std::string> all{"mpirun",
                               "-np",
                               std::to_string(ranks),
                               "--oversubscribe",
                               "--mca",
                               "mpi_yield_when_idle",
                               "1",
                               "--mca",
                               "btl",
                               "self,vader,tcp",
                               "--mca",
                               "btl_tcp_if_include",
                               "lo",
                               "--mca",
                               "oob_tcp_if_include",
                               "lo"};
  all.insert(all.end(), argv.begin(), argv.end());
  return all;
}

}  // namespace gracemoe
