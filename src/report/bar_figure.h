// Horizontal bars in named groups, each bar split in segments, on one scale.
#pragma once
#include <span>
#include <string>
#include <vector>

namespace gracemoe {

struct BarSegment {
  double value = 0;
  std::string css_class, name;  // the name is for the tooltip
};
struct Bar {
  std::vector<BarSegment> segments;
  double height = 16;
  std::string label;  // right of the bar; may be empty
};
struct BarGroup {
  std::string name;
  std::vector<Bar> bars;
};

// The picture; `title` is read out by screen readers, `unit` stands at the end of the axis.
std::string bar_figure(std::span<const BarGroup> groups, const std::string& title,
                       const std::string& unit);

}  // namespace gracemoe
