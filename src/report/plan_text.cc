#include "report/plan_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/progress.h"

namespace gracemoe {
namespace {

// The point that the layer's ratio stands for; null: no choice was made.
const RatioPoint* chosen(const LayerPlan& layer) {
  const auto& curve = layer.ratio_curve;
  const auto point = std::find_if(curve.begin(), curve.end(),
                                  [&](const RatioPoint& p) { return p.ratio == layer.ratio; });
  return point == curve.end() ? nullptr : &*point;
}

std::string range_text(double low, double high) {
  return low == high ? fmt::format("{:.2f}", low) : fmt::format("{:.2f} to {:.2f}", low, high);
}

bool same_groups(const RatioPoint& a, const RatioPoint& b) {
  return a.deviation == b.deviation && a.utilisation == b.utilisation;
}

void add_layer(const LayerPlan& layer, std::size_t number, std::vector<TextRow>& rows) {
  const auto& curve = layer.ratio_curve;
  const RatioPoint* choice = chosen(layer);
  for (std::size_t i = 0, end = 0; i < curve.size(); i = end) {
    while (end < curve.size() && same_groups(curve[end], curve[i])) ++end;
    const bool knee = choice != nullptr && choice >= &curve[i] && choice <= &curve[end - 1];
    rows.push_back(
        {{i == 0 ? std::to_string(number) : "", range_text(curve[i].ratio, curve[end - 1].ratio),
          fmt::format("{:.2f}", curve[i].deviation),
          fmt::format("{:.1f}%", 100 * curve[i].utilisation), knee ? "<- knee" : ""},
         knee});
  }
}

std::string percent(double share) {
  return fmt::format("{:.1f}%", 100 * share);
}

std::string milliseconds(double seconds) {
  return seconds > 0 ? fmt::format("{:.3f} ms", 1e3 * seconds) : "";
}

TextRow memory_row(const MemoryPoint& p, const MemoryPoint* before) {
  const bool timed = before != nullptr && p.layer_time_s > 0 && before->layer_time_s > 0;
  return {{percent(p.extra_memory), fmt::format("{:.3f}", p.nodes_visited),
           fmt::format("{:.3f}", p.load_max_over_mean), milliseconds(p.layer_time_s),
           timed ? fmt::format("{:+.3f} ms", 1e3 * (p.layer_time_s - before->layer_time_s)) : ""},
          false};
}

double extra_memory(const Plan& plan) {
  const double experts =
      static_cast<double>(plan.num_experts) * static_cast<double>(plan.layers.size());
  return experts > 0 ? plan.copies() / experts : 0;
}

constexpr std::size_t kDevicesTold = 16;

}  // namespace

std::string ratio_choice_text(const Plan& plan) {
  double low = 1, high = 0, deviation = 0, utilisation = 0, equal = 0;
  int layers = 0;
  for (const LayerPlan& layer : plan.layers) {
    const RatioPoint* choice = chosen(layer);
    if (choice == nullptr) continue;
    ++layers;
    low = std::min(low, choice->ratio);
    high = std::max(high, choice->ratio);
    deviation += choice->deviation;
    utilisation += choice->utilisation;
    equal += layer.ratio_curve.front().utilisation;  // the first candidate
  }
  if (layers == 0) return "";
  return fmt::format(
      "group sizes: r at the knee of (S, U) is {}; sizes deviate by S = {:.2f} experts and hold "
      "U = {} of the affinity, equal sizes {} (means over layers)\n",
      range_text(low, high), deviation / layers, percent(utilisation / layers),
      percent(equal / layers));
}

std::string ratio_curve_text(const Plan& plan, Colour colour) {
  std::vector<TextRow> rows{{{"layer", "r", "S", "U", ""}, false}};
  for (std::size_t l = 0; l < plan.layers.size(); ++l) add_layer(plan.layers[l], l, rows);
  if (rows.size() == 1) return "";
  return "S: deviation of group sizes, in experts; U: share of the affinity inside groups\n" +
         text_table(rows, 0, colour);
}

std::string memory_curve_text(const Plan& plan, Colour colour) {
  if (plan.memory_curve.empty()) return "";
  std::vector<TextRow> rows{
      {{"extra expert", "nodes visited", "device load", "layer time", "against"}, false},
      {{"memory", "per token", "max/mean", "predicted", "the row above"}, false}};
  const double mine = extra_memory(plan);
  const auto same = [&](double memory) { return std::abs(memory - mine) < 0.0005; };
  const TextRow here{{percent(mine), "", "", "", "", "<- this plan"}, true};
  bool told = false;
  const MemoryPoint* before = nullptr;
  for (const MemoryPoint& p : plan.memory_curve) {
    if (!told && p.extra_memory > mine && !same(p.extra_memory)) {
      rows.push_back(here);
      told = true;
    }
    rows.push_back(memory_row(p, before));
    if (!told && same(p.extra_memory)) {
      rows.back().cells.push_back("<- this plan");
      rows.back().stands_out = told = true;
    }
    before = &p;
  }
  if (!told) rows.push_back(here);
  return "what memory buys (on the text planned on; the other rows are of plans before the last "
         "refinement, whose devices may hold unequally many in a layer):\n" +
         text_table(rows, 0, colour);
}

std::string device_memory_text(const Plan& plan, const Cluster& cluster, double expert_bytes,
                               Colour colour) {
  const std::vector<int> held = plan.instances_held();
  const auto share = [&](std::size_t d) {
    const double memory = cluster.devices[d].memory_bytes;
    return memory > 0 ? held[d] * expert_bytes / memory : 0;
  };
  std::vector<std::size_t> told(held.size());
  std::iota(told.begin(), told.end(), std::size_t{0});
  if (std::all_of(told.begin(), told.end(),
                  [&](std::size_t d) { return cluster.devices[d].memory_bytes <= 0; }))
    return "";
  const bool some = told.size() > kDevicesTold;
  if (some) {
    std::stable_sort(told.begin(), told.end(),
                     [&](std::size_t a, std::size_t b) { return share(a) > share(b); });
    told.resize(kDevicesTold);
  }
  std::vector<TextRow> rows{{{"device", "experts", "weights", "memory", ""}, false}};
  for (const std::size_t d : told) {
    const double memory = cluster.devices[d].memory_bytes;
    rows.push_back(
        {{std::to_string(d), std::to_string(held[d]), human_bytes(held[d] * expert_bytes),
          memory > 0 ? human_bytes(memory) : "any", share(d) > 1 ? "<- does not fit" : ""},
         share(d) > 1});
  }
  return fmt::format(
             "experts' weights over all layers{}:\n",
             some ? fmt::format(", on the fullest {} of {} devices", kDevicesTold, held.size())
                  : "") +
         text_table(rows, 0, colour);
}

}  // namespace gracemoe
