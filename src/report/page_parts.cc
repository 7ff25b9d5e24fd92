#include "report/page_parts.h"

#include <fmt/format.h>

#include <cmath>

#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr std::size_t kPlanColours = 7;  // plan0 .. plan6 of the style sheet

}  // namespace

Folding fold(std::size_t count, std::size_t open) {
  Folding folding;
  const bool all = count <= open + 1;
  for (std::size_t i = 0; i < count; ++i) {
    bool drawn = all;
    for (std::size_t k = 0; k < open && !drawn; ++k)
      drawn = i == (open < 2 ? count / 2 : (k * (count - 1) + (open - 1) / 2) / (open - 1));
    (drawn ? folding.open : folding.folded).push_back(i);
  }
  return folding;
}

std::string details(const std::string& summary, const std::string& html) {
  if (html.empty()) return "";
  return "<details><summary>" + escape_xml(summary) + "</summary>\n" + html + "</details>\n";
}

std::string percent_change(double from, double to, int decimals) {
  if (!(from > 0)) return "\u2013";
  const double percent = 100 * (to / from - 1), least = 0.5 * std::pow(10.0, -decimals);
  const char* sign = percent < -least ? "\u2212" : percent > least ? "+" : "";
  return fmt::format("{}{:.{}f}%", sign, std::abs(percent), decimals);
}

std::string plan_class(std::size_t p) {
  return "plan" + std::to_string(p % kPlanColours);
}

std::string key_line(const std::vector<KeyEntry>& entries) {
  std::string html = "<div class=\"keyline\">";
  for (const auto& entry : entries) {
    html += entry.css_class.empty() ? "<span>" : "<span><i class=\"" + entry.css_class + "\"></i>";
    html += escape_xml(entry.text) + "</span>";
  }
  return html + "</div>\n";
}

std::string plan_key_line(const std::vector<std::string>& names) {
  std::vector<KeyEntry> entries;
  for (std::size_t p = 0; p < names.size(); ++p) entries.push_back({plan_class(p), names[p]});
  return key_line(entries);
}

}  // namespace gracemoe
