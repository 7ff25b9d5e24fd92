// Ranks as threads of one process: the exchanges' and the engine's distributed tests without MPI,
// usable under the thread sanitizer.
#pragma once
#include <functional>

#include "exchange/transport.h"

namespace gracemoe {

// Runs body(transport) on `ranks` threads, one a rank, and waits for all. Where one throws, every
// wait of the others ends with an Error (kPeer), and the exception thrown first is thrown on here.
// Nothing hangs: a wait for a rank that has returned and a message of another phase than the one
// waited for are Errors (kPeer); ranks that all wait for each other, and a message that nobody took
// in the end, are Errors (kInternal).
void run_ranks(int ranks, const std::function<void(Transport&)>& body);

}  // namespace gracemoe
