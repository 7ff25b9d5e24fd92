// Transport over MPI point to point. With mpi_greeting.cc, mpi_roll_call.cc and mpi_session.cc the
// only files that know MPI; standard calls only.
#pragma once
#include <mpi.h>

#include <concepts>
#include <memory>
#include <string>

#include "exchange/mpi_roll_call.h"
#include "exchange/transport.h"

namespace gracemoe {

// Error (kPeer) where an MPI call on a communicator with MPI_ERRORS_RETURN failed.
void check_mpi(int code, const std::string& doing);
// For what is done again and again: the text is made where it is wanted.
template <std::invocable Doing>
void check_mpi(int code, const Doing& doing) {
  if (code != MPI_SUCCESS) check_mpi(code, std::string(doing()));
}

struct MpiWaitOptions {
  double timeout_seconds = 0;  // without any progress; 0: for ever
  bool crowded = false;        // more ranks on this machine than cores: long waits sleep
};

class MpiTransport final : public Transport {
 public:
  // Collective. `comm` is borrowed, numbered as the topology's devices, with MPI_ERRORS_RETURN;
  // nobody else uses it.
  MpiTransport(MPI_Comm comm, std::size_t frame_bytes, const MpiWaitOptions& wait);
  int rank() const override { return rank_; }
  int size() const override { return size_; }
  ~MpiTransport() override;
  std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                        std::span<const int> from, const Phase& phase) override;
  void begin_send(Outbound& message) override;
  void begin_receive(Inbound& message) override;
  void poll() override;
  void wait() override;

 private:
  struct UnderWay;
  bool something_has_come();
  bool advance();  // true if anything moved
  Phase first_phase() const;
  std::vector<int> first_silent() const;
  [[noreturn]] void fail_waiting() const;

  MPI_Comm comm_;
  int rank_ = 0;
  int size_ = 1;
  std::size_t frame_bytes_;
  MpiWaitOptions wait_;
  MpiRollCall roll_call_;
  std::unique_ptr<UnderWay> under_way_;
};

}  // namespace gracemoe
