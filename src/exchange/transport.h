// How bytes get from rank to rank. The algorithms of exchange/ are written over this interface
// alone: MPI is the engine (mpi_transport.cc and mpi_session.cc, the only home of mpi.h),
// LocalTransport serves one process, and the tests run ranks as threads.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "topology/topology.h"

namespace gracemoe {

using Bytes = std::vector<std::byte>;

struct OutgoingMessage {
  int to = 0;
  std::span<const std::byte> bytes;  // may be empty: an empty message is still sent
};
struct IncomingMessage {
  int from = 0;
  Bytes bytes;
};

// What a wait is for: told by errors, and checked against what the peer sends.
struct Phase {
  int tag = 0;            // in [0, 1000): the same on both sides of a message
  const char* name = "";  // static text: "dispatch between nodes"
  int layer = -1;         // MoE layer, -1: none
  // How many other waits of the step may hang on the same silent rank before this one does. Such a
  // wait is allowed a little longer, so that the rank that waits for the culprit itself speaks
  // first.
  int depth = 0;
};
std::string to_string(const Phase& phase);  // "dispatch between nodes, layer 3"

// A message that is being sent while other things are done. It and `bytes` stay where they are
// until `done`.
struct Outbound {
  int to = 0;
  Phase phase;
  std::span<const std::byte> bytes;
  bool done = false;
};
// A message that is awaited; stays where it is until `done`, when its bytes are here.
struct Inbound {
  int from = 0;
  Phase phase;
  Bytes bytes;
  bool done = false;
};

// One implementation supplies exchange(); the collectives are written over it, so that every wait
// of a run happens in one function that knows its peer, and a sum has one order: by rank.
class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;  // = device number in the topology
  virtual int size() const = 0;
  // Sends one message to each rank of `out` (each rank at most once, never to itself) and receives
  // exactly one from each rank of `from`; returns them in the order of `from`. Blocks until all are
  // sent and received. The two lists must match over the ranks (if a sends to b, b receives from a
  // in a call with the same tag). Messages over 2 GiB are fine.
  // Error (kPeer) naming peer and phase: a peer failed, is silent, or is in another phase.
  virtual std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out,
                                                std::span<const int> from, const Phase& phase) = 0;

  // The asynchronous form, for one who has work to do meanwhile. Messages of one sender with the
  // same tag arrive in the order sent; those of different tags in any. At most one Inbound of a
  // rank and tag at a time. Things move on, and are marked done, inside poll() and wait() alone;
  // between begin_... and done no other function of the transport may be called, save that MPI's
  // takes exchange() and the collectives with other tags. poll() never blocks; wait() returns once
  // anything more is done, at once if nothing is under way. Errors as exchange().
  virtual void begin_send(Outbound& message);
  virtual void begin_receive(Inbound& message);
  virtual void poll();
  virtual void wait();

  // Collective over all ranks; n ranks take ceil(log2 n) rounds, the gather one of n - 1 messages.
  void barrier();
  // Element-wise over the ranks, in rank order; the result on every rank. Same length everywhere.
  void sum(std::span<std::int64_t> values);
  void sum(std::span<double> values);
  void max(std::span<double> values);
  // Each rank's bytes at root, in rank order; empty elsewhere.
  std::vector<Bytes> gather(std::span<const std::byte> bytes, int root);
  // Root's bytes on every rank; what other ranks pass is ignored.
  Bytes broadcast(std::span<const std::byte> bytes, int root);

 private:
  template <typename T, typename Merge>
  void reduce(std::span<T> values, const Phase& phase, Merge merge);
};

// One process, no peers.
std::unique_ptr<Transport> make_local_transport();

// Whether environment variables (looked up by `get`, null: not set) show that a launcher such as
// mpirun, mpiexec or srun started this process; GRACEMOE_MPI=1 or =0 overrules them.
bool launched_by_mpi(const std::function<const char*(const char*)>& get);

struct MpiOptions {
  // Empty: nodes are MPI's shared-memory domains. Otherwise a topology as Topology::parse reads it
  // (one machine can so play several nodes).
  std::string declared = {};
  // A wait in which nothing arrives or leaves for so long ends with an Error (kPeer) naming peer
  // and phase; 0: never. Progress is seen by frames: allow a slow link the time of one. So long may
  // each step of starting up and ending take (5 s at least): one line on standard error names the
  // step, and the missing rank where that is known, and the job ends with code 1.
  double timeout_seconds = 0;
  // Every two ranks meet at start-up; otherwise rank 0 meets all others. A message of each.
  bool all_meet = false;
  // Longest single MPI message; longer ones are split. Frames of up to 1 MiB need no handshake over
  // Open MPI's TCP.
  std::size_t frame_bytes = std::size_t{1} << 20;
};

// MPI for the whole process: initialised here, finalised by the destructor. Ranks are numbered as
// devices of the topology: node by node. Make one, at the start of the program, outside of the
// try block whose handler prints an error and calls abort(): destroyed while an exception passes,
// it can only end the job without its message.
class MpiSession {
 public:
  // launched_by_mpi() of this process's environment; where false, a single process needs no MPI.
  static bool launched_by_mpi();
  // Collective. Error (kUsage) on every rank if `declared` has another number of devices than there
  // are ranks; MPI is finalised then.
  static std::unique_ptr<MpiSession> start(const MpiOptions& options);
  static std::unique_ptr<MpiSession> start(const std::string& declared) {
    return start(MpiOptions{.declared = declared});
  }
  virtual ~MpiSession() = default;
  virtual Transport& transport() = 0;
  virtual const Topology& topology() const = 0;
  virtual std::string library() const = 0;  // "Open MPI v4.1.4"
  virtual std::string host() const = 0;     // this rank's host name
  // Ends the whole job at once with this exit code; call after printing the message.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

}  // namespace gracemoe
