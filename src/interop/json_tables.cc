#include "interop/json_tables.h"

#include <cmath>

#include "base/error.h"

namespace gracemoe {
namespace {

constexpr double kMaxCount = 9007199254740992.0;  // above 2^53 counts are no longer exact

void expect_list(const Json& json, const std::string& what, const std::string& wanted) {
  if (!json.is_array()) fail_input({what, show_json(json), wanted, ""});
}

}  // namespace

std::string item_name(const std::string& what, std::size_t index) {
  return what + "[" + std::to_string(index) + "]";
}

std::vector<int> int_list(const Json& json, int max, const std::string& what) {
  expect_list(json, what, "a list of whole numbers");
  std::vector<int> values;
  values.reserve(json.size());
  for (const Json& item : json) {
    // Through double: no number of JSON's can wrap into the range.
    const double value = item.is_number_integer() ? item.get<double>() : -1;
    if (!(value >= 0 && value <= max))
      fail_input({item_name(what, values.size()), show_json(item),
                  "a whole number from 0 to " + std::to_string(max), ""});
    values.push_back(static_cast<int>(value));
  }
  return values;
}

std::vector<std::vector<int>> int_table(const Json& json, int max, const std::string& what) {
  expect_list(json, what, "a list with one list a layer");
  std::vector<std::vector<int>> rows;
  for (const Json& row : json) rows.push_back(int_list(row, max, item_name(what, rows.size())));
  return rows;
}

std::vector<std::vector<double>> count_table(const Json& json, const std::string& what) {
  expect_list(json, what, "a list with one list a layer");
  std::vector<std::vector<double>> rows;
  for (const Json& row : json) {
    const std::string name = item_name(what, rows.size());
    expect_list(row, name, "a list of counts");
    auto& values = rows.emplace_back();
    values.reserve(row.size());
    for (const Json& item : row) {
      const double value = item.is_number() ? item.get<double>() : -1;
      if (!(value >= 0 && value <= kMaxCount))
        fail_input(
            {item_name(name, values.size()), show_json(item), "a count of at least 0, finite", ""});
      values.push_back(value);
    }
  }
  return rows;
}

std::string list_text(const std::vector<int>& values) {
  std::string text = "[";
  for (const int value : values) text += (text.size() > 1 ? ", " : "") + std::to_string(value);
  return text + "]";
}

}  // namespace gracemoe
