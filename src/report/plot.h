// A frame with axes inside a picture, and curves and points in its own units.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "report/svg.h"

namespace gracemoe {

struct PlotRange {
  double low = 0, high = 1;  // high > low, or everything is drawn in the middle
};

class Plot {
 public:
  struct Box {
    double x = 0, y = 0, width = 0, height = 0;  // of the field inside the axes
  };
  // Draws on `svg`, which must outlive it.
  Plot(Svg& svg, Box box, PlotRange x, PlotRange y) : svg_(svg), box_(box), x_(x), y_(y) {}

  struct Tick {
    double value = 0;
    std::string label;
  };
  // The axis itself, and a label a tick; ticks of y also draw lines across the field.
  void x_axis(std::span<const Tick> ticks, std::string_view title);
  void y_axis(std::span<const Tick> ticks);

  using Points = std::vector<std::pair<double, double>>;
  void curve(const Points& points, std::string_view css_class);
  void dot(std::pair<double, double> at, double radius, std::string_view css_class,
           std::string_view tooltip = {});
  // Text beside a point: right of it, or left where it would leave the field.
  void label(std::pair<double, double> at, std::string_view text);

 private:
  double px(double x) const;
  double py(double y) const;
  Svg& svg_;
  Box box_;
  PlotRange x_, y_;
};

}  // namespace gracemoe
