// What a subcommand runs in: one process, or one rank of an MPI job.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "exchange/transport.h"
#include "report/text_table.h"
#include "topology/topology.h"

namespace gracemoe {

// Of what goes to standard output.
Colour output_colour();

class CliContext {
 public:
  explicit CliContext(std::string version) : version_(std::move(version)) {}
  // Joins the job. Collective. The arguments as MpiOptions; without a launcher there is one device,
  // and a declared topology of more is an Error (kUsage).
  void start(const std::string& declared, double timeout_seconds, bool all_meet = false);
  // For commands that need no ranks: joins the job, so that under a launcher only rank 0 acts.
  void on_root(const std::function<void()>& act);
  bool started() const { return transport_ != nullptr; }
  bool root() const { return transport_ == nullptr || transport_->rank() == 0; }
  Transport& transport() { return *transport_; }
  const Topology& topology() const { return topology_; }
  const std::string& host() const { return host_; }
  // Ranks that share this rank's host. Collective.
  int ranks_on_host();
  const std::string& version() const { return version_; }  // of this program
  std::string mpi_library() const;                         // "none" without a launcher
  // The code to end with where nothing fails; the same on every rank.
  void end_with(int exit_code) { exit_code_ = exit_code; }
  int exit_code() const { return exit_code_; }
  // "rank 2 (node1)" in a job of several ranks, else empty.
  std::string where() const;
  // Ends the job at once if it has several ranks; otherwise returns the code.
  int abort(int exit_code);

 private:
  std::unique_ptr<MpiSession> session_;
  std::unique_ptr<Transport> local_;
  Transport* transport_ = nullptr;
  Topology topology_;
  std::string host_;
  std::string version_;
  int exit_code_ = 0;
};

}  // namespace gracemoe
