// Memory that a process may still take on this host, and what it keeps of it.
#pragma once
#include <cstdint>

namespace gracemoe {

// Bytes that can be had without swapping: what the kernel calls available, or what the control
// group still allows where that is less. 0: unknown. Never fails.
std::int64_t available_memory();

// Gives what is free back to the kernel once, and then no more, up to a quarter of a gigabyte: for
// a process that has loaded its model, and whose steps from now on take and free the same buffers
// again and again. For the whole process; does nothing where another allocator stands in.
void keep_freed_memory();

}  // namespace gracemoe
