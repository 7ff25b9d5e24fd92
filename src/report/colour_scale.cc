#include "report/colour_scale.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/error.h"

namespace gracemoe {
namespace {

struct LinearRgb {
  double red, green, blue;
  bool in_gamut() const {
    const auto ok = [](double v) { return v >= -1e-6 && v <= 1 + 1e-6; };
    return ok(red) && ok(green) && ok(blue);
  }
};

// OKLab (lightness, chroma, hue in degrees) to linear sRGB.
LinearRgb from_oklch(double lightness, double chroma, double hue) {
  const double a = chroma * std::cos(hue * std::numbers::pi / 180);
  const double b = chroma * std::sin(hue * std::numbers::pi / 180);
  const auto cube = [](double v) { return v * v * v; };
  const double l = cube(lightness + 0.3963377774 * a + 0.2158037573 * b);
  const double m = cube(lightness - 0.1055613458 * a - 0.0638541728 * b);
  const double s = cube(lightness - 0.0894841775 * a - 1.2914855480 * b);
  return {4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
          -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
          -0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s};
}

std::uint8_t to_srgb(double linear) {
  const double v = std::clamp(linear, 0.0, 1.0);
  const double s = v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * s));
}

void append_le(std::vector<std::uint8_t>& out, std::uint32_t value, int bytes) {
  for (int i = 0; i < bytes; ++i) out.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
}

constexpr int kHeaderBytes = 14 + 40;
constexpr int kPaletteBytes = 256 * 4;

// BITMAPFILEHEADER and BITMAPINFOHEADER.
void append_headers(std::vector<std::uint8_t>& out, int width, int height,
                    std::size_t pixel_bytes) {
  const auto start = static_cast<std::uint32_t>(kHeaderBytes + kPaletteBytes);
  out.insert(out.end(), {'B', 'M'});
  append_le(out, start + static_cast<std::uint32_t>(pixel_bytes), 4);
  append_le(out, 0, 4);
  append_le(out, start, 4);
  append_le(out, 40, 4);
  append_le(out, static_cast<std::uint32_t>(width), 4);
  append_le(out, static_cast<std::uint32_t>(height), 4);
  append_le(out, 1, 2);  // planes
  append_le(out, 8, 2);  // bits a pixel
  append_le(out, 0, 4);  // not compressed
  append_le(out, static_cast<std::uint32_t>(pixel_bytes), 4);
  append_le(out, 2835, 4);  // 72 dots an inch
  append_le(out, 2835, 4);
  append_le(out, 256, 4);
  append_le(out, 256, 4);
}

}  // namespace

Rgb scale_colour(double value) {
  const double t = std::isnan(value) ? 0.0 : std::clamp(value, 0.0, 1.0);
  const double lightness = 0.21 + 0.74 * t;
  const double hue = 302 - 195 * t;
  // A screen shows the least colour in the blue-green middle: a parabola that stays inside what it
  // can show there, so that no kink draws an edge where the values have none.
  double chroma = 0.09 + 0.075 * (2 * t - 1) * (2 * t - 1);
  LinearRgb rgb = from_oklch(lightness, chroma, hue);
  while (!rgb.in_gamut() && chroma > 0.002) {
    chroma -= 0.002;
    rgb = from_oklch(lightness, chroma, hue);
  }
  return {to_srgb(rgb.red), to_srgb(rgb.green), to_srgb(rgb.blue)};
}

std::string base64(std::span<const std::uint8_t> bytes) {
  static constexpr char kAlphabet[] =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t have = std::min<std::size_t>(3, bytes.size() - i);
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) word = word << 8 | (j < have ? bytes[i + j] : 0U);
    for (std::size_t j = 0; j < 4; ++j) {
      text += j <= have ? kAlphabet[word >> (18 - 6 * j) & 63U] : '=';
    }
  }
  return text;
}

std::string bitmap_data_uri(int width, int height, std::span<const std::uint8_t> levels) {
  GM_CHECK(width > 0 && height > 0, "a bitmap needs at least one pixel");
  const auto w = static_cast<std::size_t>(width), h = static_cast<std::size_t>(height);
  GM_CHECK(levels.size() == w * h, "a bitmap needs one level a pixel");
  const std::size_t stride = (w + 3) / 4 * 4;  // rows are padded to 4 bytes
  std::vector<std::uint8_t> out;
  out.reserve(kHeaderBytes + kPaletteBytes + stride * h);
  append_headers(out, width, height, stride * h);
  for (int i = 0; i < 256; ++i) {
    const Rgb c = scale_colour(i / 255.0);
    out.insert(out.end(), {c.blue, c.green, c.red, 0});
  }
  for (std::size_t y = h; y-- > 0;) {  // bottom row first
    const auto row = levels.subspan(y * w, w);
    out.insert(out.end(), row.begin(), row.end());
    out.insert(out.end(), stride - w, 0);
  }
  return "data:image/bmp;base64," + base64(out);
}

}  // namespace gracemoe
