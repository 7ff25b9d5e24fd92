// Ranks as threads of one process: the exchanges' and the engine's distributed tests without MPI,
// usable under the thread sanitizer.
#pragma once
#include <functional>

#include "exchange/transport.h"

namespace gracemoe {

// Runs body(transport) on `ranks` threads, one a rank, and waits for all. Where one throws, every
// wait of the others ends with an Error (kPeer), and the exception thrown first is thrown on here.
// A wait for a message that cannot come any more, because its sender has returned, is an Error
// (kPeer) too; so is a message of another phase than the one waited for. A message that nobody took is
// an Error (kInternal) at the end.
void run_ranks(int ranks, const std::function<void(Transport&)>& body);

}  // namespace gracemoe
