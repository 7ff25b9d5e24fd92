#include "interop/sglang.h"

#include <algorithm>

#include "base/error.h"
#include "interop/json_tables.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr char kMap[] = "physical_to_logical_map";
constexpr char kCount[] = "logical_count";

void add_rows(std::vector<std::vector<double>>& sum, const std::vector<std::vector<double>>& rows,
              const std::string& what) {
  if (sum.empty()) sum.resize(rows.size());
  if (rows.size() != sum.size())
    fail_input({what, std::to_string(rows.size()) + " layers",
                std::to_string(sum.size()) + ", as in the first batch", ""});
  for (std::size_t l = 0; l < rows.size(); ++l) {
    if (sum[l].empty()) sum[l].resize(rows[l].size());
    if (rows[l].size() != sum[l].size())
      fail_input({item_name(what, l), std::to_string(rows[l].size()) + " experts",
                  std::to_string(sum[l].size()) + ", as in the first batch", ""});
    std::transform(rows[l].begin(), rows[l].end(), sum[l].begin(), sum[l].begin(), std::plus<>());
  }
}

bool has_batches(const Json& counts) {
  return counts.is_array() && !counts.empty() && counts[0].is_array() && !counts[0].empty() &&
         counts[0][0].is_array();
}

// The text of {"key": [rows]}, a row a line so that two files can be compared.
template <typename RowText>
std::string rows_text(const char* key, int rows, RowText row_text) {
  std::string text = std::string("{\"") + key + "\": [";
  for (int row = 0; row < rows; ++row) text += (row == 0 ? "\n  " : ",\n  ") + row_text(row);
  return text + "\n]}\n";
}

// The MoE layer that hidden layer `row` is, or -1.
int moe_layer(const LayerNumbers& numbers, int row) {
  const auto found = std::lower_bound(numbers.absolute.begin(), numbers.absolute.end(), row);
  return found != numbers.absolute.end() && *found == row
             ? static_cast<int>(found - numbers.absolute.begin())
             : -1;
}

}  // namespace

SlotPlacement read_sglang_placement(const std::string& text, const std::string& name,
                                    const PlacementHints& hints) {
  const Json json = parse_json(text, name);
  const JsonObject object(json, name);
  const auto rows = int_table(object.raw(kMap), kMaxExperts - 1, object.key_name(kMap));
  LayerNumbers numbers = choose_rows(hints.choice, static_cast<int>(rows.size()), {}, name);
  std::vector<std::vector<int>> chosen;
  chosen.reserve(numbers.absolute.size());
  for (const int row : numbers.absolute) chosen.push_back(rows[static_cast<std::size_t>(row)]);
  SlotPlacement placement = placement_of_rows(std::move(chosen), hints, object.key_name(kMap));
  placement.numbers = std::move(numbers);
  return placement;
}

Loads read_sglang_counts(const std::string& text, const std::string& name,
                         const LayerChoice& choice) {
  const Json json = parse_json(text, name);
  const JsonObject object(json, name);
  const Json& counts = object.raw(kCount);
  const std::string what = object.key_name(kCount);
  if (!has_batches(counts)) return loads_of_all_layers(count_table(counts, what), choice, what);
  std::vector<std::vector<double>> sum;
  for (std::size_t b = 0; b < counts.size(); ++b)
    add_rows(sum, count_table(counts[b], item_name(what, b)), item_name(what, b));
  return loads_of_all_layers(sum, choice, what);
}

std::string sglang_placement_text(const SlotPlacement& placement, const LayerNumbers& numbers) {
  std::vector<int> dense = placement.slots(0);
  for (std::size_t s = 0; s < dense.size(); ++s)
    dense[s] = static_cast<int>(s % static_cast<std::size_t>(placement.num_experts));
  return rows_text(kMap, numbers.hidden, [&](int row) {
    const int layer = moe_layer(numbers, row);
    return list_text(layer < 0 ? dense : placement.slots(static_cast<std::size_t>(layer)));
  });
}

std::string sglang_counts_text(const RoutingStatistics& statistics, const LayerNumbers& numbers) {
  return rows_text(kCount, numbers.hidden, [&](int row) {
    const int layer = moe_layer(numbers, row);
    std::vector<std::int64_t> counts(static_cast<std::size_t>(statistics.num_experts));
    if (layer >= 0) {
      const auto load = statistics.layer_load(layer);
      std::transform(load.begin(), load.end(), counts.begin(),
                     [](double v) { return static_cast<std::int64_t>(v); });
    }
    return Json(counts).dump();
  });
}

}  // namespace gracemoe
