#include "report/text_table.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace gracemoe {
namespace {

// Characters, not bytes: UTF-8 continuation bytes take no column of their own.
std::size_t display_width(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

std::string line_of(const std::vector<std::string>& cells, const std::vector<std::size_t>& width,
                    std::size_t left_columns) {
  std::string line;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(width[i] - display_width(cells[i]), ' ');
    if (i > 0) line += "  ";
    line += i < left_columns ? cells[i] + padding : padding + cells[i];
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

}  // namespace

Colour choose_colour(bool terminal, bool under_launcher,
                     const std::function<const char*(const char*)>& get) {
  const auto value = [&](const char* name) {
    const char* text = get(name);
    return std::string_view(text == nullptr ? "" : text);
  };
  if (!value("NO_COLOR").empty()) return Colour::kNever;
  const bool forced = !value("CLICOLOR_FORCE").empty() && value("CLICOLOR_FORCE") != "0";
  return forced || (terminal && !under_launcher) ? Colour::kAlways : Colour::kNever;
}

Colour colour_of_stdout(bool under_launcher) {
  return choose_colour(isatty(STDOUT_FILENO) != 0, under_launcher,
                       [](const char* name) { return std::getenv(name); });
}

std::string printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  }
  return text;
}

std::string text_table(const std::vector<TextRow>& rows, std::size_t left_columns, Colour colour) {
  std::vector<std::vector<std::string>> lines;
  std::vector<std::size_t> width;
  for (const auto& row : rows) {
    auto& cells = lines.emplace_back(row.cells);
    width.resize(std::max(width.size(), cells.size()));
    for (std::size_t i = 0; i < cells.size(); ++i) {
      cells[i] = printable(cells[i]);
      width[i] = std::max(width[i], display_width(cells[i]));
    }
  }
  std::string text;
  for (std::size_t r = 0; r < rows.size(); ++r) {
    const bool bold = colour == Colour::kAlways && rows[r].stands_out;
    const auto line = line_of(lines[r], width, left_columns);
    text += bold ? "\033[1;32m" + line + "\033[0m\n" : line + "\n";
  }
  return text;
}

}  // namespace gracemoe
