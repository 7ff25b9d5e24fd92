// A backend that computes nothing itself but counts what another has to do.
#pragma once
#include "compute/backend.h"

namespace gracemoe {

// The least that the operations must move and multiply, whatever their kernels: weights that are
// used in a call count once, a cached position once for each span that sees it.
struct WorkCount {
  double weight_bytes = 0;
  double cache_bytes = 0;  // keys and values
  double flops = 0;        // of products and attention: a multiply and an add are two
};

// `inner` and `count` outlive it; `options` are inner's. What it makes is for one thread.
std::unique_ptr<Backend> make_counting_backend(const Backend& inner, const CpuOptions& options,
                                               WorkCount& count);

}  // namespace gracemoe
