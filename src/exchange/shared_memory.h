// Memory that the devices of a node share: each device writes its own and reads its neighbours'.
// It has no name in any file system, so that nothing is left behind however a process ends; pages
// are taken from the machine when they are first written.
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "exchange/transport.h"
#include "topology/topology.h"

namespace gracemoe {

class SharedMemory {
 public:
  // Collective over the ranks of each node of the topology. Error (kUsage) on a rank that cannot
  // reach the memory of another of its node: they are on different machines, or may not see each
  // other's processes.
  static std::unique_ptr<SharedMemory> make(const Topology& topology, Transport& transport,
                                            std::size_t bytes);
  // The same; null on all ranks of a node where any of them cannot, and `trouble` says why, the
  // same on all of them.
  static std::unique_ptr<SharedMemory> make_where_possible(const Topology& topology,
                                                           Transport& transport, std::size_t bytes,
                                                           std::string& trouble);
  virtual ~SharedMemory() = default;
  virtual std::span<std::byte> own() = 0;
  // The memory of that rank; empty where it is not of this node.
  virtual std::span<const std::byte> of(int rank) const = 0;
};

// Hands out parts of a piece of memory, one behind the other.
class Arena {
 public:
  Arena() = default;
  explicit Arena(std::span<std::byte> memory) : memory_(memory) {}
  void clear() { used_ = 0; }
  // Error (kUsage) where no room is left.
  std::byte* take(std::size_t bytes);

 private:
  std::span<std::byte> memory_;
  std::size_t used_ = 0;
};

}  // namespace gracemoe
