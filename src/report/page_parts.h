// Small parts that the sections of the page share: key lines, colours of plans, what is folded
// away.
#pragma once
#include <cstddef>
#include <string>
#include <vector>

namespace gracemoe {

// A part of the page with a heading of its own.
struct Section {
  std::string id;  // letters and dashes
  std::string title;
  std::string caption;  // HTML, one paragraph; may be empty
  std::string html;
};

struct Folding {
  std::vector<std::size_t> open, folded;  // ascending, together 0 .. count - 1
};
// `open` of `count` items, evenly spaced, first and last among them; all if one more would do.
Folding fold(std::size_t count, std::size_t open);

// "<details>...": `summary` is escaped, `html` is not. "" if `html` is empty.
std::string details(const std::string& summary, const std::string& html);

// "+4.1%" of change, with a real minus sign where it is one; a dash where there is nothing to
// compare with (from <= 0).
std::string percent_change(double from, double to, int decimals);

// The colour class of the p-th plan, the same in all pictures of a page: "plan0".. in turn.
std::string plan_class(std::size_t p);

// A line of coloured squares with what they stand for; texts are escaped.
struct KeyEntry {
  std::string css_class, text;
};
std::string key_line(const std::vector<KeyEntry>& entries);
// The same for plans.
std::string plan_key_line(const std::vector<std::string>& names);

}  // namespace gracemoe
