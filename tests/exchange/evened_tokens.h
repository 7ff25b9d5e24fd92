// The slow twin of evening.h: whose tokens pass the exchange at which device, counted from
// everybody's tokens.
#pragma once
#include <vector>

#include "exchange/exchange_case.h"

namespace gracemoe {

struct TokensHandedOver {
  int from = 0, to = 0, count = 0;
};
struct EvenedTokens {
  std::vector<CaseTokens> of;  // [devices] that pass there
  std::vector<TokensHandedOver> handed;
};
// Without evening in the case: everybody's own.
EvenedTokens even_tokens(const ExchangeCase& c, int step);

}  // namespace gracemoe
