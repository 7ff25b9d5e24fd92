#include "cli/context.h"

#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "runtime/together.h"

namespace gracemoe {

Colour output_colour() {
  return colour_of_stdout(MpiSession::launched_by_mpi());
}

void CliContext::start(const std::string& declared, double timeout_seconds, bool all_meet) {
  if (MpiSession::launched_by_mpi()) {
    session_ = MpiSession::start(
        MpiOptions{.declared = declared, .timeout_seconds = timeout_seconds, .all_meet = all_meet});
    transport_ = &session_->transport();
    topology_ = session_->topology();
    host_ = session_->host();
    return;
  }
  topology_ = declared.empty() ? Topology::grid(1, 1) : Topology::parse(declared);
  if (topology_.devices() != 1)
    fail_usage({"topology", declared + " in a single process", "one device",
                "start one rank a device: mpirun -np " + std::to_string(topology_.devices()) +
                    " gracemoe ..."});
  char name[256] = "localhost";
  gethostname(name, sizeof name - 1);
  host_ = name;
  local_ = make_local_transport();
  transport_ = local_.get();
}

void CliContext::on_root(const std::function<void()>& act) {
  start("", 0);
  if (root()) act();
}

int CliContext::ranks_on_host() {
  const std::vector<char> mine(host_.begin(), host_.end());
  std::string all;  // host names, one a line, in rank order
  for (const auto& part : gather_vectors(*transport_, mine, 0))
    all += std::string(part.begin(), part.end()) + "\n";
  const Bytes bytes = transport_->broadcast(std::as_bytes(std::span(all)), 0);
  const std::string names(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  int count = 0;
  for (std::size_t begin = 0; begin < names.size();) {
    const std::size_t end = names.find('\n', begin);
    count += names.compare(begin, end - begin, host_) == 0 ? 1 : 0;
    begin = end + 1;
  }
  return std::max(1, count);
}

std::string CliContext::mpi_library() const {
  return session_ == nullptr ? "none" : session_->library();
}

std::string CliContext::where() const {
  if (transport_ == nullptr || transport_->size() == 1) return "";
  return "rank " + std::to_string(transport_->rank()) + " (" + host_ + ")";
}

int CliContext::abort(int exit_code) {
  if (session_ != nullptr && session_->transport().size() > 1) session_->abort(exit_code);
  return exit_code;
}

}  // namespace gracemoe
