#pragma once
#include <algorithm>
#include <cstddef>
#include <vector>

namespace gracemoe {

// Of an even number the mean of the two in the middle; of none 0.
inline double median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const std::size_t n = values.size();
  return (values[n / 2] + values[(n - 1) / 2]) / 2;
}

}  // namespace gracemoe
