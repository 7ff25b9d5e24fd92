#include "compute/cpu/isa.h"

#include <array>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr std::array kAllIsas = {Isa::kAvx512Bf16, Isa::kAvx512, Isa::kAvx2};

[[noreturn]] void fail_isa(const std::string& wanted) {
  std::string available;
  for (const Isa isa : kAllIsas) {
    if (isa_available(isa)) available += std::string(available.empty() ? "" : ", ") + isa_name(isa);
  }
  fail_usage(
      {.what = "instruction set of the cpu backend",
       .got = wanted.empty() ? "a machine without AVX2 and FMA" : "'" + wanted + "'",
       .wanted = available.empty() ? "avx2 or better" : "one that this machine has: " + available,
       .action =
           available.empty() ? "use the reference backend" : "leave it out to take the best"});
}

}  // namespace

const char* isa_name(Isa isa) {
  switch (isa) {
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
    case Isa::kAvx512Bf16:
      return "avx512-bf16";
  }
  return "?";
}

Isa best_isa() {
#if defined(__x86_64__)
  if (isa_available(Isa::kAvx512Bf16) && !__builtin_cpu_is("intel")) return Isa::kAvx512Bf16;
#endif
  return isa_available(Isa::kAvx512) ? Isa::kAvx512 : Isa::kAvx2;
}

Isa choose_isa(const std::string& wanted) {
  const std::string name = wanted.empty() ? isa_name(best_isa()) : wanted;
  for (const Isa isa : kAllIsas) {
    if (name == isa_name(isa) && isa_available(isa)) return isa;
  }
  fail_isa(wanted);
}

}  // namespace gracemoe
