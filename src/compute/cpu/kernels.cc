#include "compute/cpu/kernels.h"

#include "base/error.h"

namespace gracemoe {

Kernels kernels_for(Isa isa) {
  GM_CHECK(isa_available(isa), "kernels of an instruction set that this machine lacks");
#if defined(__x86_64__)
  switch (isa) {
    case Isa::kAvx2:
      return avx2_kernels();
    case Isa::kAvx512:
      return avx512_kernels();
    case Isa::kAvx512Bf16:
      return avx512_bf16_kernels();
  }
#endif
  return {};
}

}  // namespace gracemoe
