// Rotary positions: how fast each pair of a head's elements turns.
#pragma once
#include <cstddef>
#include <vector>

namespace gracemoe {

// Pair i at position p turns by p * frequencies[i]; cosines and sines are multiplied by magnitude.
struct Rope {
  std::vector<double> frequencies;  // [dim / 2] radians a position
  double magnitude = 1;
  std::size_t dim() const { return 2 * frequencies.size(); }
  friend bool operator==(const Rope&, const Rope&) = default;
};

// theta^(-2i / dim).
Rope plain_rope(int dim, double theta);

}  // namespace gracemoe
