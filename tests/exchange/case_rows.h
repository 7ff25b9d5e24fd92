// Rows of exchange_case.h's tokens, element by element, and what stands in for its experts.
// Independent of the exchange's own code on purpose: plain loops.
#pragma once
#include <cstddef>

#include "exchange/exchange.h"

namespace gracemoe {

float element_at(const std::byte* row, int i, Element element);
void set_element(std::byte* row, int i, Element element, float value);
// A rotation and a scaling of the row, rounded to the element type.
void stand_in_expert(int expert, const std::byte* row, int hidden, Element element, std::byte* out);
// The nearest multiple of the grid, in float64 where both steps are exact; 0: the value itself.
float on_grid(float value, float grid);

}  // namespace gracemoe
