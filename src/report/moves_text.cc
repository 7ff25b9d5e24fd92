#include "report/moves_text.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/progress.h"
#include "base/quantities.h"
#include "planner/moving.h"
#include "report/plan_diff.h"

namespace gracemoe {
namespace {

std::string change_text(const ExpertChange& c) {
  std::string text = fmt::format("expert {}", c.expert);
  const std::size_t pairs = std::min(c.only_before.size(), c.only_after.size());
  for (std::size_t i = 0; i < pairs; ++i)
    text += fmt::format(" {}>{}", c.only_before[i], c.only_after[i]);
  for (std::size_t i = pairs; i < c.only_before.size(); ++i)
    text += fmt::format(" -{}", c.only_before[i]);
  for (std::size_t i = pairs; i < c.only_after.size(); ++i)
    text += fmt::format(" +{}", c.only_after[i]);
  return text;
}

std::string gain_text(const Plan& from, const Plan& plan, const RoutingTrace& trace,
                      const CostModel& model, double steps) {
  const auto layer_s = [&](const Plan& p) {
    return mean_layer_time(model, evaluate(p, trace, RoutingPolicy::kTopologyAware)).total_s();
  };
  const double before = layer_s(from), after = layer_s(plan);
  const double saved = (before - after) * static_cast<double>(plan.layers.size()) * steps;
  return fmt::format(
      "a layer's time, predicted on the text planned on: {:.3f} ms before, {:.3f} ms after; over "
      "{}, {} {}\n",
      1e3 * before, 1e3 * after, counted(std::llround(steps), "step"),
      short_seconds(std::abs(saved)), saved >= 0 ? "saved" : "lost");
}

}  // namespace

std::string moves_text(const Plan& from, const Plan& plan, const RoutingTrace& trace,
                       const CostModel& model, double steps) {
  const std::vector<LayerDiff> layers = compare_plans(from, plan);
  const LayerDiff total = total_of(layers);
  if (total.moved + total.added + total.dropped == 0)
    return "the old plan is kept: no change found would pay for moving experts\n";
  const Moves moves = moves_between(model, from.layers, plan.layers);
  std::string text = fmt::format(
      "{} {}, {} {} added, {} dropped: {} to send, {} by the cost model\n",
      counted(total.moved, "expert"), total.moved == 1 ? "moves" : "move",
      counted(total.added, "copy", "copies"), total.added == 1 ? "is" : "are", total.dropped,
      human_bytes(moves.instances * model.workload.expert_bytes), short_seconds(moves.seconds));
  if (trace.tokens() > 0) text += gain_text(from, plan, trace, model, steps);
  for (std::size_t l = 0; l < layers.size(); ++l) {
    std::string line;
    for (const ExpertChange& c : layers[l].changes)
      line += (line.empty() ? "" : ", ") + change_text(c);
    if (!line.empty()) text += fmt::format("  layer {}: {}\n", l, line);
  }
  return text;
}

}  // namespace gracemoe
