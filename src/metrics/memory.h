// Memory that a process may still take on this host, and what it has taken.
#pragma once
#include <cstdint>

namespace gracemoe {

// Bytes that can be had without swapping: what the kernel calls available, or what the control
// group still allows where that is less. 0: unknown. Never fails.
std::int64_t available_memory();

}  // namespace gracemoe
