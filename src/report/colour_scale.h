// A sequential colour scale whose lightness grows in equal steps to the eye, and pictures of values
// in it.
#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>

namespace gracemoe {

struct Rgb {
  std::uint8_t red = 0, green = 0, blue = 0;
  friend bool operator==(const Rgb&, const Rgb&) = default;
};

// Dark violet (0) over blue and green to light yellow (1): lightness linear in OKLab, so equal
// differences of the value look equally large, also in grey print and to colour-blind eyes. Values
// outside [0, 1] are clamped.
Rgb scale_colour(double value);

// A picture of levels [height, width], row-major, top row first, 0..255 over the scale, as a
// "data:" URI. Format: BMP with a palette, one byte a pixel: no compression library needed, and 64
// x 64 cells take 7 KB where rectangles would take 250 KB.
std::string bitmap_data_uri(int width, int height, std::span<const std::uint8_t> levels);

std::string base64(std::span<const std::uint8_t> bytes);

}  // namespace gracemoe
