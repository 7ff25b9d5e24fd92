// Aligned tables for terminals.
#pragma once
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace gracemoe {

enum class Colour { kNever, kAlways };
// kAlways where standard output is a terminal, but not under a launcher: Open MPI gives ranks a
// terminal of their own, whatever their output goes to in the end. CLICOLOR_FORCE (neither empty
// nor "0") asks for colour wherever it goes, NO_COLOR (not empty) for none; the latter wins. `get`:
// an environment variable, null where it is not set.
Colour choose_colour(bool terminal, bool under_launcher,
                     const std::function<const char*(const char*)>& get);
// The same for this process.
Colour colour_of_stdout(bool under_launcher);

struct TextRow {
  std::vector<std::string> cells;  // fewer than other rows have: the rest is empty
  bool stands_out = false;         // bold green where there is colour
};

// Columns two spaces apart, each as wide as its widest cell; the first `left_columns` are aligned
// left, the rest right. Every line ends with a newline and has no spaces before it. Control
// characters become spaces: a name is someone's input and must not move the cursor. Widths are
// counted in UTF-8 characters.
std::string text_table(const std::vector<TextRow>& rows, std::size_t left_columns, Colour colour);

// One line of someone's input, with control characters as spaces.
std::string printable(std::string text);

}  // namespace gracemoe
