#include "report/curve_figures.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <optional>

#include "report/axis.h"
#include "report/page_parts.h"
#include "report/plot.h"

namespace gracemoe {
namespace {

constexpr std::size_t kOpenLayers = 8;

// ---- deviation and utilisation ----

using Text = std::string (*)(double value, int decimals);

std::string plain(double value, int decimals) {
  return fmt::format("{:.{}f}", value, decimals);
}

std::string percent(double share, int decimals) {
  return fmt::format("{:.{}f}%", 100 * share, decimals);
}

std::string ratio_name(double ratio) {
  return ratio < 0 ? "as clustered" : ratio == 0 ? "equal sizes" : fmt::format("r = {:.2f}", ratio);
}

// Labels at the ends only: the choice depends on the shape between them. As many decimals as tell
// the ends apart; ends that differ by rounding alone are one.
std::vector<Plot::Tick> ends(const PlotRange& range, Text text, int decimals) {
  constexpr int kMostDecimals = 6;
  for (int more = decimals; more <= kMostDecimals; ++more)
    if (text(range.low, more) != text(range.high, more))
      return {{range.low, text(range.low, more)}, {range.high, text(range.high, more)}};
  return {{range.low, text(range.low, decimals)}};
}

// Every layer's axes span its own curve, as the search for the knee scales them.
std::string ratio_panel(const LayerPlan& layer, std::size_t number, const std::string& plan) {
  constexpr double kWidth = 264, kHeight = 186;
  auto points = layer.ratio_curve;
  std::stable_sort(points.begin(), points.end(), [](const RatioPoint& a, const RatioPoint& b) {
    return a.deviation < b.deviation;
  });
  const auto [low, high] = std::minmax_element(
      points.begin(), points.end(),
      [](const RatioPoint& a, const RatioPoint& b) { return a.utilisation < b.utilisation; });
  const PlotRange x{points.front().deviation, points.back().deviation};
  const PlotRange y{low->utilisation, high->utilisation};
  Svg svg(
      kWidth, kHeight,
      fmt::format("Affinity inside groups against deviation of sizes, layer {}, {}", number, plan));
  const auto labels = ends(y, percent, 1);
  std::size_t longest = 0;
  for (const auto& label : labels) longest = std::max(longest, label.label.size());
  const double left = std::max(50.0, 14 + 7.0 * static_cast<double>(longest));
  Plot plot(svg, {left, 26, kWidth - 18 - left, kHeight - 58}, x, y);
  plot.y_axis(labels);
  plot.x_axis(ends(x, plain, 2), "");
  svg.text(4, 14, fmt::format("layer {}", number), "strong");
  plot.curve({{points.front().deviation, points.front().utilisation},
              {points.back().deviation, points.back().utilisation}},
             "chord");
  Plot::Points curve;
  for (const auto& p : points) curve.emplace_back(p.deviation, p.utilisation);
  plot.curve(curve, "curve experts");
  for (const auto& p : points)
    plot.dot({p.deviation, p.utilisation}, 2.5, "experts",
             fmt::format("{}: deviation {:.2f} experts, {:.1f}% of the affinity inside groups",
                         ratio_name(p.ratio), p.deviation, 100 * p.utilisation));
  const auto chosen = std::find_if(layer.ratio_curve.begin(), layer.ratio_curve.end(),
                                   [&](const RatioPoint& p) { return p.ratio == layer.ratio; });
  if (chosen != layer.ratio_curve.end())
    plot.dot({chosen->deviation, chosen->utilisation}, 6, "ring hot", ratio_name(layer.ratio));
  svg.text(kWidth - 14, 14, ratio_name(layer.ratio), "value end");
  return svg.str();
}

std::string ratio_panels(const Plan& plan, const std::string& name,
                         const std::vector<std::size_t>& layers) {
  std::string html;
  for (const std::size_t l : layers) html += ratio_panel(plan.layers[l], l, name);
  return html.empty() ? "" : "<div class=\"tiles\">\n" + html + "</div>\n";
}

bool same_choices(const Plan& a, const Plan& b) {
  return std::equal(a.layers.begin(), a.layers.end(), b.layers.begin(), b.layers.end(),
                    [](const LayerPlan& x, const LayerPlan& y) {
                      return x.ratio == y.ratio && x.ratio_curve == y.ratio_curve;
                    });
}

std::string ratio_card(const Plan& plan, const std::string& name) {
  std::vector<std::size_t> layers;
  for (std::size_t l = 0; l < plan.layers.size(); ++l)
    if (!plan.layers[l].ratio_curve.empty()) layers.push_back(l);
  if (layers.empty()) return "";
  const Folding folding = fold(layers.size(), kOpenLayers);
  const auto pick = [&](const std::vector<std::size_t>& of) {
    std::vector<std::size_t> picked;
    for (const std::size_t i : of) picked.push_back(layers[i]);
    return ratio_panels(plan, name, picked);
  };
  return "<div class=\"card\"><h3>" + escape_xml(name) + "</h3>\n" +
         key_line({{"experts", "candidate ratios"},
                   {"hot", "the choice"},
                   {"", "to the right: deviation of the sizes, in experts"},
                   {"", "upwards: share of the affinity inside groups"}}) +
         pick(folding.open) +
         details(fmt::format("The other {} layers", folding.folded.size()), pick(folding.folded)) +
         "</div>\n";
}

// ---- memory ----

// One of the three figures that memory buys: of a point of the curve, and of a plan by itself.
struct Measure {
  std::string title, good, unit;
  double base = 0;   // where the axis starts
  double scale = 1;  // what is drawn, a unit of what is stored
  std::function<double(const MemoryPoint&)> of_point;
  std::function<std::optional<double>(const Plan&)> of_plan;
};

double mean_over_layers(const Plan& plan, const std::function<double(const LayerPlan&)>& figure) {
  double sum = 0;
  for (const auto& layer : plan.layers) sum += figure(layer);
  return plan.layers.empty() ? 0 : sum / static_cast<double>(plan.layers.size());
}

std::optional<double> known(double value) {
  return value > 0 ? std::optional(value) : std::nullopt;
}

double max_over_mean_of(const LayerPlan& layer) {
  const auto& load = layer.predicted_load;
  const double sum = std::accumulate(load.begin(), load.end(), 0.0);
  if (load.empty() || !(sum > 0)) return 0;
  return *std::max_element(load.begin(), load.end()) / sum * static_cast<double>(load.size());
}

double extra_memory(const Plan& plan) {
  const double experts =
      static_cast<double>(plan.num_experts) * static_cast<double>(plan.layers.size());
  return experts > 0 ? plan.copies() / experts : 0;
}

std::vector<Measure> measures(std::span<const Plan> plans) {
  std::vector<Measure> all{
      {"Other nodes a token visits", "lower is better", "", 0, 1,
       [](const MemoryPoint& p) { return p.nodes_visited; },
       [](const Plan& plan) {
         return known(mean_over_layers(plan, [](const LayerPlan& l) { return l.nodes_visited; }));
       }},
      {"Busiest device over the mean", "1 is perfect balance", "", 1, 1,
       [](const MemoryPoint& p) { return p.load_max_over_mean; },
       [](const Plan& plan) { return known(mean_over_layers(plan, max_over_mean_of)); }}};
  const bool timed = std::any_of(plans.begin(), plans.end(), [](const Plan& plan) {
    return std::any_of(plan.memory_curve.begin(), plan.memory_curve.end(),
                       [](const MemoryPoint& p) { return p.layer_time_s > 0; });
  });
  if (timed)
    all.push_back({"Predicted time of a layer", "lower is better", " \u00b5s", 0, 1e6,
                   [](const MemoryPoint& p) { return p.layer_time_s; },
                   [](const Plan& plan) {
                     return known(mean_over_layers(
                         plan, [](const LayerPlan& l) { return l.predicted_time.total_s(); }));
                   }});
  return all;
}

PlotRange memory_range(std::span<const Plan> plans) {
  double most = 0.25;
  for (const auto& plan : plans) {
    for (const auto& p : plan.memory_curve) most = std::max(most, p.extra_memory);
    most = std::max(most, extra_memory(plan));
  }
  return {0, most};
}

PlotRange value_range(std::span<const Plan> plans, const Measure& measure) {
  double most = measure.base;
  for (const auto& plan : plans) {
    for (const auto& p : plan.memory_curve)
      most = std::max(most, measure.scale * measure.of_point(p));
    most = std::max(most, measure.scale * measure.of_plan(plan).value_or(0));
  }
  const double height = most - measure.base;
  return {measure.base, measure.base + (height > 0 ? 1.12 * height : 1)};
}

std::vector<Plot::Tick> ticks_of(const PlotRange& range, int wanted, double scale,
                                 const std::string& unit) {
  std::vector<Plot::Tick> ticks;
  for (const double t : axis_ticks_between(range.low, range.high, wanted))
    ticks.push_back({t, tick_label(scale * t) + unit});
  return ticks;
}

void draw_plan(Plot& plot, const Plan& plan, const std::string& name, std::size_t p,
               const Measure& measure) {
  Plot::Points curve;
  for (const auto& point : plan.memory_curve)
    curve.emplace_back(point.extra_memory, measure.scale * measure.of_point(point));
  plot.curve(curve, "curve " + plan_class(p));
  for (const auto& [x, y] : curve)
    plot.dot(
        {x, y}, 2.5, plan_class(p),
        fmt::format("{}, {:.0f}% more memory: {}{}", name, 100 * x, short_number(y), measure.unit));
  const auto own = measure.of_plan(plan);
  if (!own) return;
  const double value = measure.scale * *own;
  plot.dot({extra_memory(plan), value}, 6, "ring " + plan_class(p),
           fmt::format("{} as planned, {:.1f}% more memory: {}{}", name, 100 * extra_memory(plan),
                       short_number(value), measure.unit));
}

std::string memory_panel(std::span<const Plan> plans, std::span<const std::string> names,
                         const Measure& measure) {
  constexpr double kWidth = 370, kHeight = 270;
  Svg svg(kWidth, kHeight, measure.title + " against extra memory");
  const PlotRange x = memory_range(plans), y = value_range(plans, measure);
  Plot plot(svg, {50, 12, kWidth - 70, kHeight - 58}, x, y);
  plot.y_axis(ticks_of(y, 4, 1, ""));
  plot.x_axis(ticks_of(x, 4, 100, "%"), "extra memory for copies of experts");
  for (std::size_t p = 0; p < plans.size(); ++p) draw_plan(plot, plans[p], names[p], p, measure);
  return "<div class=\"card\"><h3>" + measure.title +
         (measure.unit.empty() ? "" : "," + measure.unit) + " <span class=\"soft\">" +
         measure.good + "</span></h3>\n" + svg.str() + "</div>\n";
}

std::string memory_row(const std::vector<MemoryPoint>& curve, std::size_t i) {
  const auto& p = curve[i];
  std::string bought = "\u2013";
  if (i > 0 && p.extra_memory > curve[i - 1].extra_memory)
    bought = fmt::format("{:.4f}", (curve[i - 1].nodes_visited - p.nodes_visited) /
                                       (100 * (p.extra_memory - curve[i - 1].extra_memory)));
  const double first = curve.front().nodes_visited;
  return fmt::format(
      "<tr><td>{:.0f}%</td><td>{:.3f}</td><td>{}</td><td>{}</td><td>{:.3f}</td><td>{}</td></tr>\n",
      100 * p.extra_memory, p.nodes_visited,
      i > 0 ? percent_change(first, p.nodes_visited, 1) : "\u2013", bought, p.load_max_over_mean,
      p.layer_time_s > 0 ? fmt::format("{:.1f} \u00b5s", 1e6 * p.layer_time_s) : "\u2013");
}

std::string memory_table(const Plan& plan, const std::string& name) {
  if (plan.memory_curve.empty()) return "";
  std::string html =
      "<div class=\"scroll\"><table class=\"figures\">\n<tr><th>extra memory</th>"
      "<th>other nodes<br>a token visits</th><th>against the<br>first row</th>"
      "<th>visits saved by<br>each further 1%</th><th>load<br>max/mean</th>"
      "<th>predicted<br>layer time</th></tr>\n";
  for (std::size_t i = 0; i < plan.memory_curve.size(); ++i)
    html += memory_row(plan.memory_curve, i);
  return details("The numbers of " + name, html + "</table></div>\n");
}

}  // namespace

std::string ratio_figures(std::span<const Plan> plans, std::span<const std::string> names) {
  std::string html;
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const auto repeats = [&](const Plan& earlier) { return same_choices(earlier, plans[p]); };
    const auto here = plans.begin() + static_cast<std::ptrdiff_t>(p);
    if (std::none_of(plans.begin(), here, repeats)) html += ratio_card(plans[p], names[p]);
  }
  return html;
}

std::string memory_figures(std::span<const Plan> plans, std::span<const std::string> names) {
  if (std::all_of(plans.begin(), plans.end(),
                  [](const Plan& plan) { return plan.memory_curve.empty(); }))
    return "";
  std::string html = plan_key_line({names.begin(), names.end()}) + "<div class=\"grid three\">\n";
  for (const auto& measure : measures(plans)) html += memory_panel(plans, names, measure);
  html += "</div>\n";
  for (std::size_t p = 0; p < plans.size(); ++p) html += memory_table(plans[p], names[p]);
  return html;
}

}  // namespace gracemoe
