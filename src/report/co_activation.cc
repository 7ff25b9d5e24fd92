#include "report/co_activation.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "report/axis.h"
#include "report/colour_scale.h"
#include "report/page_parts.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

constexpr int kMaxPixels = 256;  // a side; larger matrices are averaged down
constexpr std::size_t kOpenLayers = 4;
constexpr double kMapBudgetBytes = 2'500'000;  // of all maps of a page

int block_of(int num_experts) {
  return (num_experts + kMaxPixels - 1) / kMaxPixels;
}
int pixels_of(int num_experts) {
  const int block = block_of(num_experts);
  return (num_experts + block - 1) / block;
}

double tokens_of(const RoutingStatistics& s, int layer) {
  const auto load = s.layer_load(layer);
  return std::accumulate(load.begin(), load.end(), 0.0) / std::max(1, s.top_k);
}

// Top of the colour scale over all drawn layers: the 98th percentile, so that one pair of twins
// does not darken the rest. A share of the layer's tokens.
double scale_top(const RoutingStatistics& s, std::span<const int> layers) {
  std::vector<double> shares;
  for (const int layer : layers) {
    const double tokens = tokens_of(s, layer);
    if (tokens <= 0) continue;
    const auto a = s.layer_affinity(layer);
    const auto n = static_cast<std::size_t>(s.num_experts);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = i + 1; j < n; ++j) shares.push_back(a[i * n + j] / tokens);
    }
  }
  if (shares.empty()) return 0;
  const auto rank = static_cast<std::ptrdiff_t>(0.98 * static_cast<double>(shares.size() - 1));
  std::nth_element(shares.begin(), shares.begin() + rank, shares.end());
  return shares[static_cast<std::size_t>(rank)];
}

// The square root spreads the many small values; the legend's ticks are spaced to match.
std::uint8_t level_of(double share, double top) {
  const double t = top > 0 ? std::sqrt(std::clamp(share / top, 0.0, 1.0)) : 0.0;
  return static_cast<std::uint8_t>(std::lround(255 * t));
}

std::string map_image(const RoutingStatistics& s, int layer, const ExpertOrder& order, double top) {
  const auto a = s.layer_affinity(layer);
  const int n = s.num_experts, block = block_of(n), side = pixels_of(n);
  const double tokens = std::max(1.0, tokens_of(s, layer));
  const auto pixels = static_cast<std::size_t>(side);
  std::vector<double> sum(pixels * pixels), cells(pixels * pixels);
  for (int i = 0; i < n; ++i) {
    const auto row = static_cast<std::size_t>(order.experts[static_cast<std::size_t>(i)]);
    for (int j = 0; j < n; ++j) {
      const auto col = static_cast<std::size_t>(order.experts[static_cast<std::size_t>(j)]);
      const auto at =
          static_cast<std::size_t>(i / block) * pixels + static_cast<std::size_t>(j / block);
      sum[at] += a[row * static_cast<std::size_t>(n) + col];
      cells[at] += 1;
    }
  }
  std::vector<std::uint8_t> levels(sum.size());
  for (std::size_t i = 0; i < sum.size(); ++i)
    levels[i] = level_of(sum[i] / cells[i] / tokens, top);
  return bitmap_data_uri(side, side, levels);
}

// Squares on the diagonal: thin round a device's experts, thick round a node's.
void outline(Svg& svg, const ExpertOrder& order, const Topology& topology, double x, double y,
             double cell) {
  const auto square = [&](int from, int to, std::string_view css_class) {
    if (to <= from) return;
    svg.rect(x + from * cell, y + from * cell, (to - from) * cell, (to - from) * cell, css_class);
  };
  const auto begin = [&](int device) {
    return order.device_begin[static_cast<std::size_t>(device)];
  };
  for (int d = 0; d < topology.devices(); ++d) square(begin(d), begin(d + 1), "device-outline");
  for (int b = 0; b < topology.nodes(); ++b) {
    square(begin(topology.first_device(b)),
           begin(topology.first_device(b) + topology.devices_on(b)), "node-outline");
  }
}

// Bars along the left and the top edge that say which devices and nodes the rows belong to.
void rulers(Svg& svg, const ExpertOrder& order, const Topology& topology, double origin,
            double cell) {
  for (int b = 0; b < topology.nodes(); ++b) {
    const int first = topology.first_device(b), last = first + topology.devices_on(b);
    for (int d = first; d < last; ++d) {
      const int from = order.device_begin[static_cast<std::size_t>(d)];
      const int to = order.device_begin[static_cast<std::size_t>(d) + 1];
      const double start = origin + from * cell + 1, length = (to - from) * cell - 2;
      const auto css_class = fmt::format("node{}", b % 6);
      const auto tip = fmt::format("node {}, device {}: {} experts", b, d, to - from);
      svg.rect(origin - 9, start, 5, length, css_class, tip);
      svg.rect(start, origin - 9, length, 5, css_class, tip);
    }
  }
}

std::string map_svg(const RoutingStatistics& s, const Plan& plan, int layer, double top) {
  constexpr double kSide = 320, kOrigin = 12;
  const auto order =
      order_by_device(plan.layers[static_cast<std::size_t>(layer)], plan.topology.devices());
  const double cell = kSide / s.num_experts;
  Svg svg(kOrigin + kSide + 2, kOrigin + kSide + 2,
          fmt::format("Co-activation of layer {}, {} order", layer, plan.preset));
  svg.image(kOrigin, kOrigin, kSide, kSide, map_image(s, layer, order, top));
  outline(svg, order, plan.topology, kOrigin, kOrigin, cell);
  rulers(svg, order, plan.topology, kOrigin, cell);
  return svg.str();
}

std::string layer_card(const RoutingStatistics& s, std::span<const Plan> plans,
                       std::span<const std::string> names, int layer, double top) {
  std::string html =
      fmt::format("<div class=\"card\"><h3>Layer {}</h3><div class=\"maps\">\n", layer);
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const auto share =
        share_together(s.layer_affinity(layer), plans[p].layers[static_cast<std::size_t>(layer)],
                       plans[p].topology);
    html += "<figure>" + map_svg(s, plans[p], layer, top);
    html += fmt::format(
        "<figcaption><b>{}</b><br>{:.1f}% of pairs on one node, {:.1f}% on one device"
        "</figcaption></figure>\n",
        escape_xml(names[p]), 100 * share.on_node, 100 * share.on_device);
  }
  return html + "</div></div>\n";
}

// Round values, close together where the square root spreads the scale.
std::vector<double> legend_ticks(double most) {
  auto ticks = axis_ticks(most, 4);
  if (ticks.size() > 1) ticks.insert(ticks.begin() + 1, ticks[1] / 4);
  return ticks;
}

std::string legend(double top) {
  constexpr double kWidth = 320, kLeft = 16, kBar = 12;
  Svg svg(350, 40, "Colour scale of the co-activation maps");
  std::vector<std::uint8_t> ramp(256);
  std::iota(ramp.begin(), ramp.end(), std::uint8_t{0});
  svg.image(kLeft, 4, kWidth, kBar, bitmap_data_uri(256, 1, ramp));
  const double most = 1000 * top;
  for (const double tick : legend_ticks(most)) {
    const double x = kLeft + (most > 0 ? kWidth * std::sqrt(tick / most) : 0);
    svg.line(x, 4 + kBar, x, 9 + kBar, "axis");
    svg.text(x, 23 + kBar, tick_label(tick), "tick middle");
  }
  return "<div class=\"legend-scale\">" + svg.str() +
         "<p class=\"note\">Tokens in 1,000 that choose both experts, on a square-root scale; the "
         "top "
         "colour is for all above.</p></div>\n";
}

}  // namespace

ExpertOrder order_by_device(const LayerPlan& layer, int devices) {
  std::vector<std::vector<int>> on(static_cast<std::size_t>(devices));
  for (std::size_t e = 0; e < layer.experts.size(); ++e) {
    GM_CHECK(!layer.experts[e].empty(), "an expert without an instance");
    on.at(static_cast<std::size_t>(layer.experts[e][0].device)).push_back(static_cast<int>(e));
  }
  ExpertOrder order;
  order.device_begin.push_back(0);
  for (const auto& experts : on) {
    order.experts.insert(order.experts.end(), experts.begin(), experts.end());
    order.device_begin.push_back(static_cast<int>(order.experts.size()));
  }
  return order;
}

CoActivationShare share_together(std::span<const double> affinity, const LayerPlan& layer,
                                 const Topology& topology) {
  const std::size_t n = layer.experts.size();
  GM_CHECK(affinity.size() == n * n, "an affinity matrix of another size than the plan's layer");
  double all = 0, device = 0, node = 0;
  for (std::size_t i = 0; i < n; ++i) {
    const int here = layer.experts[i][0].device;
    for (std::size_t j = 0; j < n; ++j) {
      if (i == j) continue;
      const int there = layer.experts[j][0].device;
      const double pairs = affinity[i * n + j];
      all += pairs;
      if (here == there) device += pairs;
      if (topology.node_of(here) == topology.node_of(there)) node += pairs;
    }
  }
  return all > 0 ? CoActivationShare{device / all, node / all} : CoActivationShare{};
}

std::vector<int> layers_to_draw(int layers, int num_experts, std::size_t maps_per_layer) {
  const double side = pixels_of(num_experts);
  const double bytes = (side * (side + 3) + 1100) * 4 / 3 * static_cast<double>(maps_per_layer);
  const int fit = std::clamp(static_cast<int>(kMapBudgetBytes / std::max(1.0, bytes)), 1, layers);
  std::vector<int> drawn;
  drawn.reserve(static_cast<std::size_t>(fit));
  for (int i = 0; i < fit; ++i) {
    drawn.push_back(fit == 1 ? layers / 2
                             : static_cast<int>(
                                   std::lround(static_cast<double>(i) * (layers - 1) / (fit - 1))));
  }
  return drawn;
}

std::string co_activation_figure(const RoutingStatistics& statistics, std::span<const Plan> plans,
                                 std::span<const std::string> names) {
  if (statistics.layers < 1) return "";
  const auto layers = layers_to_draw(statistics.layers, statistics.num_experts, plans.size());
  const double top = scale_top(statistics, layers);
  const Folding folding = fold(layers.size(), kOpenLayers);
  const auto cards = [&](const std::vector<std::size_t>& which) {
    std::string html;
    for (const std::size_t i : which) html += layer_card(statistics, plans, names, layers[i], top);
    const char* shape = plans.size() > 2 ? "grid" : "grid wide";
    return html.empty() ? "" : fmt::format("<div class=\"{}\">\n{}</div>\n", shape, html);
  };
  std::string html =
      legend(top) + cards(folding.open) +
      details(fmt::format("{} more layers", folding.folded.size()), cards(folding.folded));
  if (static_cast<int>(layers.size()) < statistics.layers) {
    html += fmt::format("<p class=\"note\">{} of {} layers are drawn, evenly spaced.</p>\n",
                        layers.size(), statistics.layers);
  }
  return html;
}

}  // namespace gracemoe
