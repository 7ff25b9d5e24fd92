#include "report/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

namespace gracemoe {
namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";

// Bytes of the well-formed UTF-8 sequence at the start of `text`; 0 if there is none.
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80U) return 0;
  }
  // Overlong forms, surrogates, beyond U+10FFFF.
  if (lead == 0xE0 && byte(1) < 0xA0) return 0;
  if (lead == 0xED && byte(1) >= 0xA0) return 0;
  if (lead == 0xF0 && byte(1) < 0x90) return 0;
  if (lead == 0xF4 && byte(1) >= 0x90) return 0;
  return length;
}

std::string_view escaped_ascii(char c) {
  switch (c) {
    case '&':
      return "&amp;";
    case '<':
      return "&lt;";
    case '>':
      return "&gt;";
    case '"':
      return "&quot;";
    case '\'':
      return "&#39;";
    default:
      return {};
  }
}

bool forbidden_control(char c) {
  return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7f;
}

double size_of(double value) {
  return std::isfinite(value) ? std::max(0.0, value) : 0.0;
}

}  // namespace

std::string escape_xml(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0 || forbidden_control(text[0])) {
      out += kReplacement;
    } else if (const auto entity = escaped_ascii(text[0]); !entity.empty()) {
      out += entity;
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(std::max<std::size_t>(1, length));
  }
  return out;
}

std::string svg_number(double value) {
  if (!std::isfinite(value)) return "0";
  std::string text = fmt::format("{:.2f}", value);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

Svg::Svg(double width, double height, std::string_view label) {
  body_ = fmt::format(
      "<svg viewBox=\"0 0 {0} {1}\" width=\"{0}\" height=\"{1}\" style=\"--width:{0}px\" "
      "role=\"img\" "
      "aria-label=\"{2}\">\n",
      svg_number(width), svg_number(height), escape_xml(label));
}

void Svg::rect(double x, double y, double width, double height, std::string_view css_class,
               std::string_view tooltip) {
  body_ += fmt::format(R"(<rect x="{}" y="{}" width="{}" height="{}" class="{}")", svg_number(x),
                       svg_number(y), svg_number(size_of(width)), svg_number(size_of(height)),
                       escape_xml(css_class));
  body_ += tooltip.empty() ? "/>\n" : "><title>" + escape_xml(tooltip) + "</title></rect>\n";
}

void Svg::line(double x1, double y1, double x2, double y2, std::string_view css_class) {
  body_ +=
      fmt::format("<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" class=\"{}\"/>\n", svg_number(x1),
                  svg_number(y1), svg_number(x2), svg_number(y2), escape_xml(css_class));
}

void Svg::circle(double x, double y, double radius, std::string_view css_class,
                 std::string_view tooltip) {
  body_ += fmt::format(R"(<circle cx="{}" cy="{}" r="{}" class="{}")", svg_number(x), svg_number(y),
                       svg_number(size_of(radius)), escape_xml(css_class));
  body_ += tooltip.empty() ? "/>\n" : "><title>" + escape_xml(tooltip) + "</title></circle>\n";
}

void Svg::polyline(std::span<const std::pair<double, double>> points, std::string_view css_class) {
  if (points.size() < 2) return;
  std::string list;
  for (const auto& [x, y] : points) {
    list += (list.empty() ? "" : " ") + svg_number(x) + "," + svg_number(y);
  }
  body_ += fmt::format("<polyline points=\"{}\" class=\"{}\"/>\n", list, escape_xml(css_class));
}

void Svg::rects(std::span<const std::array<double, 4>> rectangles, std::string_view css_class) {
  if (rectangles.empty()) return;
  std::string path;
  for (const auto& [x, y, width, height] : rectangles) {
    const auto w = svg_number(size_of(width));
    path += fmt::format("M{} {}h{}v{}h-{}z", svg_number(x), svg_number(y), w,
                        svg_number(size_of(height)), w);
  }
  body_ += fmt::format("<path d=\"{}\" class=\"{}\"/>\n", path, escape_xml(css_class));
}

void Svg::text(double x, double y, std::string_view content, std::string_view css_class) {
  body_ += fmt::format("<text x=\"{}\" y=\"{}\" class=\"{}\">{}</text>\n", svg_number(x),
                       svg_number(y), escape_xml(css_class), escape_xml(content));
}

void Svg::image(double x, double y, double width, double height, std::string_view data_uri) {
  body_ += fmt::format(
      "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" "
      "class=\"pixels\" href=\"{}\"/>\n",
      svg_number(x), svg_number(y), svg_number(size_of(width)), svg_number(size_of(height)),
      escape_xml(data_uri));
}

}  // namespace gracemoe
