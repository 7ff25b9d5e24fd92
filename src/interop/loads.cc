#include "interop/loads.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "trace/metadata.h"

namespace gracemoe {
namespace {

constexpr double kEnoughDigits = 1e6;

void check_rows(const std::vector<std::vector<double>>& rows, const std::string& name) {
  if (rows.empty() || rows[0].empty())
    fail_input({name, rows.empty() ? "no layer" : "no expert", "at least one", ""});
  if (rows[0].size() > kMaxExperts)
    fail_input({name, std::to_string(rows[0].size()) + " experts",
                "at most " + std::to_string(kMaxExperts), ""});
  for (std::size_t l = 1; l < rows.size(); ++l)
    if (rows[l].size() != rows[0].size())
      fail_input({name + ": layer " + std::to_string(l),
                  std::to_string(rows[l].size()) + " experts",
                  std::to_string(rows[0].size()) + ", as in layer 0", ""});
}

Loads pick_rows(const std::vector<std::vector<double>>& rows, LayerNumbers numbers) {
  Loads loads;
  loads.statistics.num_experts = static_cast<int>(rows[0].size());
  loads.statistics.layers = static_cast<int>(numbers.absolute.size());
  for (const int row : numbers.absolute) {
    const auto& values = rows[static_cast<std::size_t>(row)];
    loads.statistics.load.insert(loads.statistics.load.end(), values.begin(), values.end());
  }
  loads.numbers = std::move(numbers);
  return loads;
}

}  // namespace

Loads loads_of_all_layers(const std::vector<std::vector<double>>& rows, const LayerChoice& choice,
                          const std::string& name) {
  check_rows(rows, name);
  std::vector<bool> nonzero;
  for (const auto& row : rows)
    nonzero.push_back(std::any_of(row.begin(), row.end(), [](double v) { return v > 0; }));
  return pick_rows(rows, choose_rows(choice, static_cast<int>(rows.size()), nonzero, name));
}

Loads loads_of_moe_layers(const std::vector<std::vector<double>>& rows, const std::string& name) {
  check_rows(rows, name);
  Loads loads = pick_rows(rows, choose_rows({}, static_cast<int>(rows.size()), {}, name));
  loads.numbers = {};
  return loads;
}

void add_loads(Loads& a, const Loads& b, const std::string& name_of_b) {
  RoutingStatistics& s = a.statistics;
  const RoutingStatistics& t = b.statistics;
  if (s.num_experts != t.num_experts || s.layers != t.layers || a.numbers != b.numbers)
    fail_input(
        {name_of_b,
         std::to_string(t.layers) + " layers of " + std::to_string(t.num_experts) + " experts",
         std::to_string(s.layers) + " of " + std::to_string(s.num_experts) +
             ", the same layers as in the inputs before",
         "name the MoE layers with --moe-layers"});
  const auto add = [](std::vector<double>& to, const std::vector<double>& from) {
    std::transform(to.begin(), to.end(), from.begin(), to.begin(), std::plus<>());
  };
  add(s.load, t.load);
  if (s.affinity.size() == t.affinity.size())
    add(s.affinity, t.affinity);
  else
    s.affinity.clear();  // known of some tokens only
}

double make_whole(RoutingStatistics& statistics) {
  std::vector<double>& load = statistics.load;
  if (std::all_of(load.begin(), load.end(), [](double v) { return std::floor(v) == v; })) return 1;
  const double largest = *std::max_element(load.begin(), load.end());
  double factor = 1;
  // A load of 1e-300 is as good as none: its proportions are nobody's measurement.
  while (largest * factor < kEnoughDigits && factor < 1e15) factor *= 10;
  for (double& value : load) value = std::round(value * factor);
  return factor;
}

}  // namespace gracemoe
