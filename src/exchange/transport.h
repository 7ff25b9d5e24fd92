// How bytes get from rank to rank. The algorithms of exchange/ are written over this interface alone: MPI is the engine
// (mpi_transport.cc, the only home of mpi.h), LocalTransport serves one process, and the tests run ranks as threads.
#pragma once
#include <cstddef>
#include <cstdint>
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

class Transport {
 public:
  virtual ~Transport() = default;
  virtual int rank() const = 0;  // = device number in the topology
  virtual int size() const = 0;
  // Sends one message to each rank of `out` (each rank at most once, never to itself) and receives exactly one from each rank of
  // `from`; returns them in the order of `from`. Blocks until all are sent and received. The two lists must match over the
  // ranks (if a sends to b, b receives from a); `tag` in [0, 1000) tells phases apart. Large messages are fine (> 2 GiB are split).
  virtual std::vector<IncomingMessage> exchange(std::span<const OutgoingMessage> out, std::span<const int> from, int tag) = 0;
  // Collective over all ranks:
  virtual void barrier() = 0;
  virtual void sum(std::span<std::int64_t> values) = 0;  // element-wise, result on every rank
  virtual void sum(std::span<double> values) = 0;
  virtual void max(std::span<double> values) = 0;
  // Each rank's bytes at root, in rank order; empty elsewhere.
  virtual std::vector<Bytes> gather(std::span<const std::byte> bytes, int root) = 0;
  // Root's bytes on every rank.
  virtual Bytes broadcast(std::span<const std::byte> bytes, int root) = 0;
};

// One process, no peers.
std::unique_ptr<Transport> make_local_transport();

// MPI for the whole process: initialised here, finalised by the destructor. Ranks are numbered as devices of the topology:
// node by node. Make one, at the start of the program.
class MpiSession {
 public:
  // True if a launcher (mpirun, srun, ...) started this process as one of several, or forced by GRACEMOE_MPI=1; where it is
  // false a single process needs no MPI at all.
  static bool launched_by_mpi();
  // Collective. `declared` empty: nodes are MPI's shared-memory domains. Otherwise the given topology (one machine can so play several nodes);
  // Error (kUsage) on every rank if it has another number of devices than there are ranks.
  static std::unique_ptr<MpiSession> start(const std::string& declared);
  virtual ~MpiSession() = default;
  virtual Transport& transport() = 0;
  virtual const Topology& topology() const = 0;
  virtual std::string library() const = 0;    // "Open MPI v4.1.4"
  virtual std::string host() const = 0;       // this rank's host name
  // Ends the whole job at once with this exit code; call after printing the message.
  [[noreturn]] virtual void abort(int exit_code) = 0;
};

}  // namespace gracemoe
