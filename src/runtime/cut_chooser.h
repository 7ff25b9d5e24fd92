// Whether to cut a step into micro-batches (--overlap auto), by what steps like it have taken so
// far, cut and whole. Cutting hides one half's rows on the wire behind the other half's work, and
// reads weights once more: which of them is more depends on the link, the model and the step.
//
// Every rank has its own and gives it the same numbers, so that all choose alike. What is chosen
// changes no result.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <vector>

namespace gracemoe {

class CutChooser {
 public:
  // `rows`: of all devices, at least 1; `prompt_rows`: those among them that are of prompts. Steps
  // are alike if both have or lack prompt rows, and if rows have the same power of two below them.
  bool choose(std::int64_t rows, std::int64_t prompt_rows);
  // The step that was chosen for last took so long. Of the first step of all nothing is learnt:
  // connections are made and memory is touched in it.
  void took(double seconds);

 private:
  struct Way {
    std::vector<double> seconds_a_row;  // of the last few tries, oldest first
    bool tried() const { return !seconds_a_row.empty(); }
    double usual() const;
  };
  struct Kind {
    std::array<Way, 2> ways;  // [whole, cut]
    int since_other = 0;      // steps since the slower way was tried
  };
  static bool other_is_due(const Way& faster, const Way& slower, int since);

  std::map<std::array<int, 2>, Kind> kinds_;
  Kind* kind_ = nullptr;  // of the last step
  bool cut_ = false;
  std::int64_t rows_ = 0;
  bool first_ = true;
};

}  // namespace gracemoe
