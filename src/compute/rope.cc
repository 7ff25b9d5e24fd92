#include "compute/rope.h"

#include <cmath>

namespace gracemoe {

Rope plain_rope(int dim, double theta) {
  Rope rope;
  for (int i = 0; i < dim / 2; ++i) rope.frequencies.push_back(std::pow(theta, -2.0 * i / dim));
  return rope;
}

}  // namespace gracemoe
