// Instruction sets of the cpu backend, chosen at run time: one binary serves every x86-64 machine.
#pragma once
#include <string>

namespace gracemoe {

// In rising order: a machine that has one has the ones before it.
enum class Isa { kAvx2, kAvx512, kAvx512Bf16 };

const char* isa_name(Isa isa);  // "avx2", "avx512", "avx512-bf16"
bool isa_available(Isa isa);
// "": the best of this machine. Errors (kUsage): an unknown name, or one that this machine lacks.
Isa choose_isa(const std::string& wanted);

}  // namespace gracemoe
