// In place of src/compute/cpu/isa_available.cc: with emulated AVX-512 a machine with AVX2 has every
// set.
#include "compute/cpu/isa.h"

namespace gracemoe {

bool isa_available(Isa) {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

}  // namespace gracemoe
