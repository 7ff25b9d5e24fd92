#include "report/ladder_rounds.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/median.h"
#include "report/html_style.h"
#include "report/run_figures.h"

namespace gracemoe {
namespace {

using Runs = std::vector<RunStatistics>;

template <typename Figure>
double median_of(const Runs& rounds, Figure figure) {
  std::vector<double> values;
  values.reserve(rounds.size());
  for (const auto& run : rounds) values.push_back(figure(run));
  return median(std::move(values));
}

double ratio(double a, double b) {
  return b > 0 ? a / b : 0;
}

const Runs* row_called(const LadderRounds& ladder, const std::string& name) {
  for (const Runs& row : ladder.rows)
    if (row.front().name == name) return &row;
  return nullptr;
}

double against(const Runs* other, const Runs& row) {
  if (other == nullptr) return 0;
  std::vector<double> ratios;
  for (std::size_t i = 0; i < row.size(); ++i)
    ratios.push_back(ratio((*other)[i].end_to_end_s, row[i].end_to_end_s));
  return median(std::move(ratios));
}

const RunStatistics& typical(const Runs& rounds) {
  std::vector<const RunStatistics*> order;
  order.reserve(rounds.size());
  for (const auto& run : rounds) order.push_back(&run);
  std::sort(order.begin(), order.end(), [](const RunStatistics* a, const RunStatistics* b) {
    return a->end_to_end_s < b->end_to_end_s;
  });
  return *order[(order.size() - 1) / 2];
}

RoundsRow rounds_row(const LadderRounds& ladder, const Runs& rounds, const LadderRow& figures) {
  RoundsRow row;
  row.typical = figures;
  row.fastest_s = row.slowest_s = rounds.front().end_to_end_s;
  for (const auto& run : rounds) {
    row.fastest_s = std::min(row.fastest_s, run.end_to_end_s);
    row.slowest_s = std::max(row.slowest_s, run.end_to_end_s);
  }
  row.exchange_share = median_of(rounds, [](const RunStatistics& run) {
    return ratio(mean_all_to_all_s(run), run.end_to_end_s);
  });
  const Runs* occult = row_called(ladder, "occult");
  row.against_vanilla = against(row_called(ladder, "vanilla"), rounds);
  row.against_occult = against(occult, rounds);
  if (occult != nullptr && cross_node_mb(occult->front()) > 0)
    row.cross_node_change = figures.cross_node_mb / cross_node_mb(occult->front()) - 1;
  if (ladder.link_bits_per_s > 0)
    row.bound_s = figures.busiest_link_mb * 8e6 / ladder.link_bits_per_s;
  row.over_bound = ratio(median_of(rounds, mean_all_to_all_s), row.bound_s);
  return row;
}

std::string times(double value) {
  return value > 0 ? fmt::format("{:.2f}x", value) : "-";
}

TextRow time_cells(const RoundsRow& r, bool fastest) {
  const LadderRow& t = r.typical;
  return {
      {t.name, fmt::format("{:.2f}", t.end_to_end_s),
       fmt::format("{:.2f}..{:.2f}", r.fastest_s, r.slowest_s), fmt::format("{:.2f}", t.prefill_s),
       fmt::format("{:.2f}", t.decode_s), fmt::format("{:.2f}", t.all_to_all_s),
       fmt::format("{:.0f}%", 100 * r.exchange_share),
       r.bound_s > 0 ? fmt::format("{:.2f}", r.bound_s) : "-", times(r.over_bound),
       fmt::format("{:.2f}", t.device_idle_s), times(r.against_vanilla), times(r.against_occult)},
      fastest};
}

TextRow byte_cells(const RoundsRow& r, bool occult) {
  const LadderRow& t = r.typical;
  const auto mb = [](double value) { return fmt::format("{:.2f}", value); };
  return {
      {t.name, mb(t.dispatch_cross_mb), mb(t.cross_node_mb - t.dispatch_cross_mb),
       mb(t.cross_node_mb), occult ? fmt::format("{:+.1f}%", 100 * r.cross_node_change) : "-",
       mb(t.busiest_link_mb), mb(t.dispatch_intra_mb), mb(t.intra_node_mb - t.dispatch_intra_mb),
       mb(t.metadata_mb), fmt::format("{:.1f}", t.load_std),
       fmt::format("{:.2f}", t.load_max_over_mean), mb(t.resident_expert_mb)},
      false};
}

OrderedJson round_json(const RunStatistics& run) {
  return {{"end_to_end_s", run.end_to_end_s},
          {"prefill_s", run.prefill_s},
          {"decode_s", run.decode_s},
          {"all_to_all_s", mean_all_to_all_s(run)}};
}

OrderedJson known_or_null(double value) {
  return value > 0 ? OrderedJson(value) : OrderedJson(nullptr);
}

}  // namespace

std::vector<RunStatistics> typical_runs(const LadderRounds& ladder) {
  std::vector<RunStatistics> runs;
  for (const Runs& rounds : ladder.rows) {
    GM_CHECK(!rounds.empty() && rounds.size() == ladder.rows.front().size(),
             "every row of a ladder runs in every round");
    runs.push_back(typical(rounds));
  }
  return runs;
}

std::vector<RoundsRow> make_rounds_rows(const LadderRounds& ladder) {
  const std::vector<LadderRow> figures = make_ladder(typical_runs(ladder));
  std::vector<RoundsRow> rows;
  for (std::size_t i = 0; i < figures.size(); ++i)
    rows.push_back(rounds_row(ladder, ladder.rows[i], figures[i]));
  return rows;
}

std::string rounds_text(const LadderRounds& ladder, Colour colour) {
  if (ladder.rows.empty()) return "no rows\n";
  const auto rows = make_rounds_rows(ladder);
  const bool occult = row_called(ladder, "occult") != nullptr;
  std::vector<TextRow> time{
      {{"", "end-to-end", "all rounds", "prefill", "decode", "all-to-all", "share", "bound", "over",
        "idle", "vs", "vs"}},
      {{"", "s", "s", "s", "s", "s", "", "s", "bound", "s", "vanilla", "occult"}}};
  std::vector<TextRow> bytes{
      {{"", "cross-node", "cross-node", "cross-node", "vs", "busiest", "intra-node", "intra-node",
        "metadata", "load std", "load", "experts"}},
      {{"", "out MB", "back MB", "MB", "occult", "link MB", "out MB", "back MB", "MB", "pairs",
        "max/mean", "MB"}}};
  const auto fastest =
      std::min_element(rows.begin(), rows.end(), [](const RoundsRow& a, const RoundsRow& b) {
        return a.typical.end_to_end_s < b.typical.end_to_end_s;
      });
  for (const RoundsRow& row : rows) {
    time.push_back(time_cells(row, &row == &*fastest));
    bytes.push_back(byte_cells(row, occult));
  }
  const RunStatistics& first = ladder.rows.front().front();
  return text_table(time, 1, colour) + "\n" + text_table(bytes, 1, colour) + "\n" +
         printable(describe_workload(first.workload)) + "; " +
         std::to_string(ladder.rows.front().size()) + " round(s), medians, " +
         (ladder.warm ? "second runs" : "first runs") + "; topology " +
         printable(first.setting("topology")) + "\non " +
         printable(describe_machine(first.machine)) + "\n";
}

std::string rounds_json(const LadderRounds& ladder) {
  OrderedJson json = ladder_document(typical_runs(ladder));
  json["rounds"] = ladder.rows.empty() ? 0 : ladder.rows.front().size();
  json["warm"] = ladder.warm;
  json["link_bits_per_s"] = ladder.link_bits_per_s;
  const auto rows = make_rounds_rows(ladder);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    OrderedJson& row = json["rows"][i];
    row["exchange_share"] = rows[i].exchange_share;
    row["against_vanilla"] = known_or_null(rows[i].against_vanilla);
    row["against_occult"] = known_or_null(rows[i].against_occult);
    row["cross_node_change"] =
        rows[i].against_occult > 0 ? OrderedJson(rows[i].cross_node_change) : OrderedJson(nullptr);
    row["bound_s"] = known_or_null(rows[i].bound_s);
    row["over_bound"] = known_or_null(rows[i].over_bound);
    row["rounds"] = OrderedJson::array();
    for (const RunStatistics& run : ladder.rows[i]) row["rounds"].push_back(round_json(run));
  }
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

std::string ladder_svg(std::span<const RunStatistics> runs) {
  std::string svg = time_figure(runs);
  constexpr std::string_view kOpen = "<svg ";
  svg.insert(kOpen.size(), "xmlns=\"http://www.w3.org/2000/svg\" ");
  const std::size_t content = svg.find('>') + 1;
  svg.insert(content, "<style>" + std::string(html_style()) + "</style>\n");
  return svg;
}

}  // namespace gracemoe
