// A small SVG writer: shapes and text in user units, styled by CSS classes of the page that holds
// the picture, so that one picture serves light and dark mode. Also the escaping that all text in
// the page goes through.
#pragma once
#include <array>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace gracemoe {

// & < > " ' as entities; control characters that XML forbids and bytes that are not UTF-8 become
// U+FFFD. Good for text and for quoted attributes, in HTML and XML alike.
std::string escape_xml(std::string_view text);

// At most two decimals, no trailing zeros: "12", "0.5". Coordinates are never shorter on the screen
// than 1/100 unit.
std::string svg_number(double value);

class Svg {
 public:
  // A picture of width x height user units that shrinks with its column; `label` is read out by
  // screen readers.
  Svg(double width, double height, std::string_view label);

  // An empty `tooltip` adds none. Negative or non-finite sizes are drawn as 0.
  void rect(double x, double y, double width, double height, std::string_view css_class,
            std::string_view tooltip = {});
  void line(double x1, double y1, double x2, double y2, std::string_view css_class);
  // An empty `tooltip` adds none.
  void circle(double x, double y, double radius, std::string_view css_class,
              std::string_view tooltip = {});
  // [points] (x, y), joined by straight lines; nothing below two.
  void polyline(std::span<const std::pair<double, double>> points, std::string_view css_class);
  // Axis-parallel rectangles of one class, [rectangles] (x, y, width, height), as one element: a
  // tenth of the bytes of as many rect().
  void rects(std::span<const std::array<double, 4>> rectangles, std::string_view css_class);
  // (x, y) is on the base line; the class sets the anchor.
  void text(double x, double y, std::string_view content, std::string_view css_class);
  // Stretched over the rectangle, pixels kept sharp.
  void image(double x, double y, double width, double height, std::string_view data_uri);

  // The complete element. Can be called more than once.
  std::string str() const { return body_ + "</svg>\n"; }

 private:
  std::string body_;
};

}  // namespace gracemoe
