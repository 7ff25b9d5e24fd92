// The ranks that run on one machine: what they share, and whether it suffices.
#pragma once
#include <cstdint>
#include <memory>

#include "compute/host_memory.h"
#include "exchange/transport.h"
#include "runtime/footprint.h"

namespace gracemoe {

// Ranks of this rank's machine; the first of them is their leader.
struct HostRanks {
  int member = 0;  // this rank among them
  int members = 1;
  int leader = 0;  // rank
};
// Collective.
HostRanks host_ranks(Transport& transport);

// Memory that the ranks of a machine fill together; null where there is one, or where they cannot
// reach each other's (containers of their own). Collective.
std::shared_ptr<HostMemory> share_memory(Transport& transport, const HostRanks& host);

// The sum over the ranks of this machine, at each of them. Collective.
std::uint64_t host_sum(Transport& transport, const HostRanks& host, std::uint64_t mine);

// Error (AgreedError, kInput) naming each sum, if the ranks of a machine together need more than
// `available` bytes (0: unknown, nothing is refused; their least counts). `dense_once`: what all
// hold alike is kept once. Collective.
void require_memory(Transport& transport, const HostRanks& host, const Footprint& need,
                    bool dense_once, std::int64_t available);

}  // namespace gracemoe
