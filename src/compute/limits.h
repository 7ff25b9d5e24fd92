// How fast this machine can read memory and multiply at best: what a kernel's speed is held
// against.
#pragma once
#include <cstddef>
#include <memory>

#include "compute/backend.h"

namespace gracemoe {

struct MachineLimits {
  double read_bytes_per_second = 0;  // from huge pages, far beyond the caches, all threads together
  double product_flops = 0;          // in registers, of the options' instruction set and weights
};

// Reads 256 MB again and again, by the fastest of several ways. What a virtual machine's memory
// gives changes from second to second: who wants to know how much of it something used reads in
// turn with it.
class MemoryReader {
 public:
  explicit MemoryReader(int threads);    // about a second: tries all ways, several times
  double best() const { return best_; }  // bytes a second, the most of all readings so far
  double read();                         // once more; bytes a second

 private:
  double read(std::size_t way);
  int threads_;
  std::shared_ptr<const std::byte> memory_;
  std::size_t way_ = 0;
  double best_ = 0;
};

// The best of several tries: what else runs only slows down. Errors as make_cpu_backend.
MachineLimits measure_limits(const CpuOptions& options, const MemoryReader& reader);

}  // namespace gracemoe
