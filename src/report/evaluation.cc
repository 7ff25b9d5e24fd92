#include "report/evaluation.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/quantities.h"
#include "plan/checkpoint.h"

namespace gracemoe {
namespace {

bool told(const LayerTime& time) {
  return time.total_s() > 0;
}

std::string shape(std::size_t layers, int experts, int top_k) {
  return fmt::format("{} of {}, top-{}", counted(static_cast<std::int64_t>(layers), "MoE layer"),
                     counted(experts, "expert"), top_k);
}

void check_shape(const JudgedPlan& judged, const std::string& file, const RoutingTrace& trace) {
  const Plan& plan = judged.plan;
  const auto layers = static_cast<std::size_t>(trace.layers);
  if (plan.layers.size() == layers && plan.num_experts == trace.num_experts &&
      plan.top_k == trace.top_k)
    return;
  fail_input({judged.file, shape(plan.layers.size(), plan.num_experts, plan.top_k),
              shape(layers, trace.num_experts, trace.top_k) + ", as in " + file,
              "judge a plan on traces of the model that it is for"});
}

JudgedTrace described(const std::string& name, const std::string& file, const RoutingTrace& trace) {
  JudgedTrace out{name, file, trace.model, trace.phase, trace.tokens(), 0};
  for (std::size_t t = 0; t < trace.sequence.size(); ++t) {
    if (t == 0 || trace.sequence[t] != trace.sequence[t - 1]) ++out.sequences;
  }
  return out;
}

}  // namespace

void judge(Evaluation& evaluation, const std::string& name, const std::string& file,
           const RoutingTrace& trace, int threads) {
  std::vector<PlanMetrics> metrics;
  for (const auto& judged : evaluation.plans) {
    check_shape(judged, file, trace);
    metrics.push_back(evaluate(judged.plan, trace, evaluation.routing, threads));
    const std::string warning =
        checkpoint_warning(judged.plan, judged.name, name, trace.model, trace.fingerprint);
    if (!warning.empty()) evaluation.warnings.push_back(warning);
  }
  evaluation.traces.push_back(described(name, file, trace));
  evaluation.metrics.push_back(std::move(metrics));
}

std::vector<std::string> file_labels(const std::vector<std::string>& paths) {
  std::vector<std::string> names;
  names.reserve(paths.size());
  for (const auto& path : paths) names.push_back(std::filesystem::path(path).filename().string());
  std::vector<std::string> labels;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    if (std::count(names.begin(), names.end(), names[i]) == 1) {
      labels.push_back(names[i]);
      continue;
    }
    const auto here = paths.begin() + static_cast<std::ptrdiff_t>(i);
    const auto before = std::count(paths.begin(), here, paths[i]);
    labels.push_back(before == 0 ? paths[i] : paths[i] + " (" + std::to_string(before + 1) + ")");
  }
  return labels;
}

std::optional<LayerTime> mean_predicted_time(const Plan& plan) {
  LayerTime mean;
  double layers = 0;
  for (const auto& layer : plan.layers) layers += told(layer.predicted_time) ? 1 : 0;
  if (layers == 0) return std::nullopt;
  for (const auto& layer : plan.layers) {
    if (!told(layer.predicted_time)) continue;
    mean.cross_node_s += layer.predicted_time.cross_node_s / layers;
    mean.intra_node_s += layer.predicted_time.intra_node_s / layers;
    mean.compute_s += layer.predicted_time.compute_s / layers;
  }
  return mean;
}

std::optional<double> loss_against_best(const Evaluation& evaluation, std::size_t trace,
                                        std::size_t plan) {
  const auto& metrics = evaluation.metrics[trace];
  const double mine = metrics[plan].total.nodes_visited;
  double best = mine;
  for (std::size_t p = 0; p < metrics.size(); ++p) {
    if (evaluation.plans[p].plan.topology == evaluation.plans[plan].plan.topology)
      best = std::min(best, metrics[p].total.nodes_visited);
  }
  if (mine == best) return 0.0;
  if (best == 0) return std::nullopt;
  return mine / best - 1;
}

}  // namespace gracemoe
