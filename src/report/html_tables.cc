#include "report/html_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "report/axis.h"
#include "report/page_parts.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

std::string key(const std::string& figure, const std::string& text) {
  return "<div class=\"card key\"><b>" + figure + "</b><span>" + text + "</span></div>\n";
}

std::size_t fastest_of(const std::vector<LadderRow>& rows) {
  const auto it = std::min_element(
      rows.begin(), rows.end(),
      [](const LadderRow& a, const LadderRow& b) { return a.end_to_end_s < b.end_to_end_s; });
  return static_cast<std::size_t>(it - rows.begin());
}

std::string cell(const std::string& text) {
  return "<td>" + text + "</td>";
}

std::string ladder_row_html(const LadderRow& row, bool best) {
  std::string html = best ? "<tr class=\"best\">" : "<tr>";
  html += cell(escape_xml(row.name)) + cell(fmt::format("{:.2f}", row.end_to_end_s)) +
          cell(fmt::format("{:.2f}", row.all_to_all_s)) +
          cell(fmt::format("{:.2f}", row.cross_node_mb)) +
          cell(fmt::format("{:.2f}", row.intra_node_mb)) +
          cell(fmt::format("{:.2f}", row.device_idle_s)) +
          cell(fmt::format("{:.1f}", row.load_std)) +
          cell(fmt::format("{:.2f}", row.load_max_over_mean)) +
          cell(short_number(row.tokens_per_second)) +
          cell(row.speedup_over_first > 0 ? fmt::format("{:.2f}\u00d7", row.speedup_over_first)
                                          : "\u2013");
  return html + "</tr>\n";
}

// All keys in the order in which the runs first name them.
std::vector<std::string> setting_keys(std::span<const RunStatistics> runs) {
  std::vector<std::string> keys;
  for (const auto& run : runs) {
    for (const auto& [name, value] : run.settings) {
      if (std::find(keys.begin(), keys.end(), name) == keys.end()) keys.push_back(name);
    }
  }
  return keys;
}

std::string setting_row(std::span<const RunStatistics> runs, const std::string& name) {
  const auto first = runs.front().setting(name);
  const bool same = std::all_of(runs.begin(), runs.end(), [&](const RunStatistics& run) {
    return run.setting(name) == first;
  });
  std::string html = "<tr><th>" + escape_xml(name) + "</th>";
  if (same) {
    html += fmt::format("<td colspan=\"{}\">{}</td>", runs.size(), escape_xml(first));
  } else {
    for (const auto& run : runs) html += cell(escape_xml(run.setting(name)));
  }
  return html + "</tr>\n";
}

}  // namespace

std::string key_figures(std::span<const RunStatistics> runs) {
  const auto rows = make_ladder(runs);
  const std::size_t best = fastest_of(rows) == 0 ? rows.size() - 1 : fastest_of(rows);
  const auto& from = rows.front();
  const auto& to = rows[best];
  const auto versus = escape_xml(to.name) + " against " + escape_xml(from.name);
  return "<div class=\"keys\">\n" +
         key(fmt::format("{:.2f}\u00d7", to.speedup_over_first), "speed end to end, " + versus) +
         key(percent_change(from.all_to_all_s, to.all_to_all_s, 0), "all-to-all time") +
         key(percent_change(from.cross_node_mb, to.cross_node_mb, 0), "payload across nodes") +
         key(fmt::format("{:.2f} \u2192 {:.2f}", from.load_max_over_mean, to.load_max_over_mean),
             "busiest device over the mean") +
         "</div>\n";
}

std::string ladder_html(std::span<const RunStatistics> runs) {
  const auto rows = make_ladder(runs);
  std::string html =
      "<table class=\"figures\">\n<tr><th></th><th>end-to-end<br>s</th><th>all-to-all<br>s</th>"
      "<th>cross-node<br>MB</th><th>intra-node<br>MB</th><th>device idle<br>s</th>"
      "<th>load "
      "std<br>pairs</th><th>load<br>max/mean</th><th>generated<br>tokens/s</th><th>against<br>";
  html += (rows.empty() ? "" : escape_xml(rows.front().name)) + "</th></tr>\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    html += ladder_row_html(rows[i], rows.size() > 1 && i == fastest_of(rows));
  }
  return html + "</table>\n";
}

std::string settings_html(std::span<const RunStatistics> runs) {
  std::string html = "<div class=\"card scroll\"><table class=\"settings\">\n<tr><th></th>";
  for (const auto& run : runs) html += "<th>" + escape_xml(run.name) + "</th>";
  html += "</tr>\n";
  for (const auto& name : setting_keys(runs)) html += setting_row(runs, name);
  return html + "</table></div>\n";
}

std::string definitions_html() {
  return R"(<dl>
<dt>end-to-end</dt><dd>Wall time of the whole workload, prompts and generation, on the slowest device.</dd>
<dt>all-to-all</dt><dd>Wall time inside dispatch and combine, waiting included; mean over devices.</dd>
<dt>cross-node, intra-node</dt><dd>Payload bytes (activations and partial sums, without headers and routing entries) sent to
devices of other nodes, and to other devices of the same node; all devices and layers; 1 MB is 1,000,000 bytes.</dd>
<dt>device idle</dt><dd>Time a device waits for the slowest one's experts, layer by layer; mean over devices.</dd>
<dt>load std</dt><dd>Standard deviation over devices of the token-expert pairs they computed; mean over layers.</dd>
<dt>load max/mean</dt><dd>Pairs of the busiest device over the mean device; mean over layers. 1 is perfect balance.</dd>
</dl>
)";
}

}  // namespace gracemoe
