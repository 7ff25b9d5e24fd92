// Lists of lists out of JSON, every element checked. `what` names the place in messages.
#pragma once
#include <string>
#include <vector>

#include "base/json.h"

namespace gracemoe {

// Whole numbers from 0 to `max`.
std::vector<int> int_list(const Json& json, int max, const std::string& what);
std::vector<std::vector<int>> int_table(const Json& json, int max, const std::string& what);
// Finite numbers of at least 0, at most 2^53.
std::vector<std::vector<double>> count_table(const Json& json, const std::string& what);
// "[1, 2, 3]"
std::string list_text(const std::vector<int>& values);
// The index-th item of a list, as messages name it.
std::string item_name(const std::string& what, std::size_t index);

}  // namespace gracemoe
