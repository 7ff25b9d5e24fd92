// Which device is a request's home: the one rule for runs, and for replays of their traces.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace gracemoe {

// Home of each request: longest requests first (equal ones in order), each to the device with the
// fewest tokens so far, the lowest of several; equal requests are therefore dealt round robin.
// `tokens` [requests]: how many of it run through the model. Round robin whatever the length left
// the devices of 117 real requests up to 1.2 times the mean apart, and the work of expert copies
// near their tokens with them.
std::vector<int> deal_homes(std::span<const std::int64_t> tokens, int devices);

}  // namespace gracemoe
