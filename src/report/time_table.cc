#include "report/time_table.h"

#include <fmt/core.h>

#include <algorithm>
#include <map>

namespace gracemoe {
namespace {

struct Sum {
  double calls = 0, seconds = 0, slowest = 0;
};
using Operations = std::map<std::string, Sum>;

// kind of step -> operation -> sums over ranks.
std::map<std::string, Operations> sums_of(std::span<const RankSpans> ranks) {
  std::map<std::string, Operations> kinds;
  for (const RankSpans& rank : ranks) {
    for (const SpanLog::Total& total : rank.log.totals) {
      const auto& names = rank.log.names;
      Sum& sum = kinds[names[static_cast<std::size_t>(total.root)]]
                      [names[static_cast<std::size_t>(total.name)]];
      const double seconds = static_cast<double>(total.self_ns) * 1e-9;
      sum.calls += static_cast<double>(total.calls);
      sum.seconds += seconds;
      sum.slowest = std::max(sum.slowest, seconds);
    }
  }
  return kinds;
}

void add_kind(const std::string& kind, const Operations& operations, std::size_t ranks,
              std::vector<TextRow>& rows) {
  double all = 0;
  for (const auto& [name, sum] : operations) all += sum.seconds;
  std::vector<std::pair<std::string, Sum>> order(operations.begin(), operations.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) {
    return a.second.seconds > b.second.seconds;
  });
  const auto n = static_cast<double>(ranks);
  for (const auto& [name, sum] : order) {
    rows.push_back(
        {{kind, name == kind ? "(rest of the step)" : name, fmt::format("{:.3f}", sum.seconds / n),
          fmt::format("{:.1f}%", all > 0 ? 100 * sum.seconds / all : 0.0),
          fmt::format("{:.0f}", sum.calls / n),
          fmt::format("{:.1f}", 1e6 * sum.seconds / std::max(sum.calls, 1.0))},
         false});
    if (ranks > 1) rows.back().cells.push_back(fmt::format("{:.3f}", sum.slowest));
  }
}

}  // namespace

std::string time_table(std::span<const RankSpans> ranks, Colour colour) {
  const auto kinds = sums_of(ranks);
  if (kinds.empty()) return "";
  std::vector<TextRow> rows = {{{"step", "operation", "s", "share", "calls", "us a call"}, true}};
  if (ranks.size() > 1) rows[0].cells.push_back("slowest s");
  for (const auto& [kind, operations] : kinds) add_kind(kind, operations, ranks.size(), rows);
  return text_table(rows, 2, colour);
}

}  // namespace gracemoe
