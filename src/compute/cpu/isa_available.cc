// Apart from isa.cc, so that a program whose AVX-512 kernels are emulated can answer otherwise
// (tests/compute/emulated).
#include "compute/cpu/isa.h"

namespace gracemoe {

bool isa_available(Isa isa) {
#if defined(__x86_64__)
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") &&
                      __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
                      __builtin_cpu_supports("avx512dq");
  switch (isa) {
    case Isa::kAvx2:
      return avx2;
    case Isa::kAvx512:
      return avx512;
    case Isa::kAvx512Bf16:
      return avx512 && __builtin_cpu_supports("avx512bf16");
  }
#else
  static_cast<void>(isa);
#endif
  return false;
}

}  // namespace gracemoe
