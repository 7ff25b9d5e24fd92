// A layer's affinity matrix as the planner sees it: A[i][j] tokens that selected both, symmetric,
// diagonal 0.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

namespace gracemoe {

// Experts that belong together: [groups][members], members ascending.
using Groups = std::vector<std::vector<int>>;

struct Affinity {
  int experts = 0;
  std::span<const double> values;  // row-major [experts, experts]; not owned

  double at(int i, int j) const { return values[index(i, j)]; }
  std::span<const double> row(int i) const {
    return values.subspan(index(i, 0), static_cast<std::size_t>(experts));
  }

 private:
  std::size_t index(int i, int j) const {
    return static_cast<std::size_t>(i) * static_cast<std::size_t>(experts) +
           static_cast<std::size_t>(j);
  }
};

}  // namespace gracemoe
