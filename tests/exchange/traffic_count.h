// The slow twin of the exchange's counters: every token of every home, one hop after the other.
#pragma once
#include <vector>

#include "exchange/counters.h"
#include "exchange/exchange_case.h"

namespace gracemoe {

// [devices][layers] what a case's steps send and copy.
std::vector<std::vector<LayerCounters>> count_traffic(const ExchangeCase& c);

}  // namespace gracemoe
