// The same function over independent items by several threads.
#pragma once
#include <functional>

namespace gracemoe {

// Calls body(0) .. body(count - 1), each once, in any order, from up to `threads` threads (0: one a
// hardware thread). The first exception is thrown again here, when all threads have ended.
void parallel_for(int count, int threads, const std::function<void(int)>& body);

}  // namespace gracemoe
