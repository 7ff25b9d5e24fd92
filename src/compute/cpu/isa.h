// Instruction sets of the cpu backend, chosen at run time: one binary serves every x86-64 machine.
#pragma once
#include <string>

namespace gracemoe {

// In rising order: a machine that has one has the ones before it.
enum class Isa { kAvx2, kAvx512, kAvx512Bf16 };

const char* isa_name(Isa isa);  // "avx2", "avx512", "avx512-bf16"
bool isa_available(Isa isa);
// The fastest of this machine, or kAvx2 where it has none. It depends on the processor alone, never
// on a measurement: ranks on equal machines must choose alike.
//
// Not always the last: on Intel vdpbf16ps runs at half the rate of float32's fma, for the same
// number of products (Sapphire Rapids, one core, 64 rows of 256 x 256: avx512 96-143 GFLOP/s,
// avx512-bf16 56-83), on AMD at twice it (Zen 4: 114 against 228).
Isa best_isa();
// "": best_isa(). Errors (kUsage): an unknown name, or one that this machine lacks.
Isa choose_isa(const std::string& wanted);

}  // namespace gracemoe
