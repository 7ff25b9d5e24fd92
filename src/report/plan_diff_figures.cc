#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/progress.h"
#include "report/co_activation.h"
#include "report/page_parts.h"
#include "report/plan_diff.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr std::size_t kOpenLayers = 6;
constexpr std::size_t kPictureBudgetBytes = 400'000, kInstanceBytes = 24;  // of one pair of plans
constexpr std::size_t kListedExperts = 24;                                 // in a layer's row

using Rectangles = std::vector<std::array<double, 4>>;

// Experts from left to right as `before` has them, device by device, so that it makes a staircase
// and what left it stands out.
std::string layer_picture(const LayerPlan& before, const LayerPlan& after, const Topology& topology,
                          const std::string& title) {
  constexpr double kField = 340, kLeft = 12, kTop = 24;
  const int devices = topology.devices();
  const double w = kField / static_cast<double>(std::max<std::size_t>(1, before.experts.size()));
  const double h = std::clamp(120.0 / devices, 2.0, 14.0);
  const double gap = std::min(w, h) > 5 ? 1 : 0;
  Svg svg(kLeft + kField + 2, kTop + h * devices + 4, title);
  svg.text(0, 13, title, "strong");
  svg.rect(kLeft, kTop, kField, h * devices, "field");
  for (int b = 0; b < topology.nodes(); ++b) {
    const double y = kTop + h * topology.first_device(b), height = h * topology.devices_on(b);
    svg.rect(0, y + 1, 5, height - 2, "ruler", fmt::format("node {}", b));
    if (b > 0) svg.line(kLeft, y, kLeft + kField, y, "axis");
  }
  const ExpertOrder order = order_by_device(before, devices);
  Rectangles both, old_only, new_only;
  for (std::size_t i = 0; i < order.experts.size(); ++i) {
    const auto e = static_cast<std::size_t>(order.experts[i]);
    const auto holds = [&](const LayerPlan& plan, int device) {
      return std::any_of(plan.experts[e].begin(), plan.experts[e].end(),
                         [&](const Instance& instance) { return instance.device == device; });
    };
    const auto cell = [&](int device) {
      return std::array{kLeft + w * static_cast<double>(i), kTop + h * device, w - gap, h - gap};
    };
    for (const auto& instance : before.experts[e])
      (holds(after, instance.device) ? both : old_only).push_back(cell(instance.device));
    for (const auto& instance : after.experts[e])
      if (!holds(before, instance.device)) new_only.push_back(cell(instance.device));
  }
  svg.rects(both, "in-both");
  svg.rects(old_only, "only-before");
  svg.rects(new_only, "only-after");
  return svg.str();
}

std::string counts(const LayerDiff& diff) {
  if (diff.changes.empty()) return "the same";
  std::string text = fmt::format("{} moved", diff.moved);
  if (diff.added > 0) text += fmt::format(", {} added", diff.added);
  if (diff.dropped > 0) text += fmt::format(", {} dropped", diff.dropped);
  return text;
}

std::string pictures(const Plan& before, const Plan& after, const std::vector<LayerDiff>& layers,
                     const std::vector<std::size_t>& which) {
  std::string html;
  for (const std::size_t l : which) {
    html += layer_picture(before.layers[l], after.layers[l], before.topology,
                          fmt::format("layer {}: {}", l, counts(layers[l])));
  }
  return html.empty() ? "" : "<div class=\"tiles large\">\n" + html + "</div>\n";
}

std::string numbers(const std::vector<int>& devices) {
  std::string text;
  for (const int d : devices) text += (text.empty() ? "" : ", ") + std::to_string(d);
  return text;
}

// "5: 0 -> 3": what went, what came.
std::string change_text(const ExpertChange& change) {
  const auto went = numbers(change.only_before), came = numbers(change.only_after);
  if (came.empty()) return fmt::format("<b>{}</b>: gone from {}", change.expert, went);
  if (went.empty()) return fmt::format("<b>{}</b>: also on {}", change.expert, came);
  return fmt::format("<b>{}</b>: {} \u2192 {}", change.expert, went, came);
}

std::string change_list(const LayerDiff& diff) {
  std::string html;
  for (std::size_t i = 0; i < std::min(kListedExperts, diff.changes.size()); ++i)
    html += "<span class=\"change\">" + change_text(diff.changes[i]) + "</span> ";
  if (diff.changes.size() > kListedExperts)
    html += fmt::format("and {} more", diff.changes.size() - kListedExperts);
  return html;
}

std::string count_cells(const LayerDiff& diff) {
  std::string html;
  for (const auto count : {static_cast<int>(diff.changes.size()), diff.moved, diff.added,
                           diff.dropped, diff.kept, diff.new_on_node})
    html += "<td>" + with_commas(count) + "</td>";
  return html;
}

constexpr const char* kCountHeads =
    "<th>experts that<br>sit elsewhere</th><th>instances<br>moved</th><th>added</th>"
    "<th>dropped</th><th>kept</th><th>new on<br>a node</th>";

std::string layer_table(const std::vector<LayerDiff>& layers) {
  std::string html =
      std::string("<div class=\"scroll\"><table class=\"figures\">\n<tr><th>layer</th>") +
      kCountHeads + "<th class=\"list\">expert: devices before \u2192 after</th></tr>\n";
  for (std::size_t l = 0; l < layers.size(); ++l) {
    html += fmt::format("<tr><td>{}</td>{}<td class=\"list\">{}</td></tr>\n", l,
                        count_cells(layers[l]), change_list(layers[l]));
  }
  return html + "</table></div>\n";
}

std::string pair_card(const Plan& before, const std::string& before_name, const Plan& after,
                      const std::string& after_name) {
  const auto layers = compare_plans(before, after);
  const auto instances = static_cast<std::size_t>(before.num_experts) * layers.size() * 2 +
                         static_cast<std::size_t>(before.copies() + after.copies());
  const bool all_fit = instances * kInstanceBytes <= kPictureBudgetBytes;
  const Folding folding = fold(layers.size(), kOpenLayers);
  std::string html = "<div class=\"card\"><h3>" + escape_xml(before_name) + " \u2192 " +
                     escape_xml(after_name) + "</h3>\n" +
                     key_line({{"in-both", "in both"},
                               {"only-before", "only in " + before_name},
                               {"only-after", "only in " + after_name}}) +
                     pictures(before, after, layers, folding.open);
  if (all_fit)
    html += details(fmt::format("The other {} layers", folding.folded.size()),
                    pictures(before, after, layers, folding.folded));
  return html + details("Layer by layer, expert by expert", layer_table(layers)) + "</div>\n";
}

}  // namespace

std::string plan_diff_figures(const Plan& before, const std::string& before_name,
                              std::span<const Plan> after,
                              std::span<const std::string> after_names) {
  std::string table =
      std::string(
          "<div class=\"card scroll\"><table class=\"figures\">\n<tr><th>from \u2192 to</th>") +
      kCountHeads + "</tr>\n";
  std::string cards;
  for (std::size_t p = 0; p < after.size(); ++p) {
    const auto total = total_of(compare_plans(before, after[p]));
    table += "<tr><td>" + escape_xml(before_name) + " \u2192 " + escape_xml(after_names[p]) +
             "</td>" + count_cells(total) + "</tr>\n";
    cards += pair_card(before, before_name, after[p], after_names[p]);
  }
  return table + "</table></div>\n<div class=\"grid\">\n" + cards + "</div>\n";
}

}  // namespace gracemoe
