// How fast this machine can read memory and multiply at best: what a kernel's speed is held
// against.
#pragma once
#include "compute/backend.h"

namespace gracemoe {

struct MachineLimits {
  double read_bytes_per_second = 0;  // from huge pages, far beyond the caches, all threads together
  double product_flops = 0;          // in registers, of the options' instruction set and weights
};

// Takes about two seconds and 256 MB. The best of several tries: what else runs only slows down.
// Errors as make_cpu_backend.
MachineLimits measure_limits(const CpuOptions& options);

}  // namespace gracemoe
