#include <algorithm>

#include "base/json.h"
#include "report/evaluation.h"

namespace gracemoe {
namespace {

OrderedJson json_of(const LayerTime& time) {
  return {{"cross_node", time.cross_node_s},
          {"intra_node", time.intra_node_s},
          {"compute", time.compute_s},
          {"total", time.total_s()}};
}

OrderedJson json_of(const DispatchRows& rows) {
  return {{"flat_per_expert", rows.flat_per_expert},
          {"flat_per_device", rows.flat_per_device},
          {"hierarchical", rows.hierarchical}};
}

OrderedJson json_of(const RoutingMetrics& m) {
  return {
      {"tokens", m.tokens},
      {"nodes_visited_per_token", m.nodes_visited},
      {"crossing_share", m.crossing_share},
      {"devices_visited_per_token", m.devices_visited},
      {"crossing_pairs_per_token", m.crossing_copies},
      {"load_max_over_mean", m.load_max_over_mean},
      {"load_std", m.load_std},
      {"load", m.load},
      {"copies", m.copies},
      {"extra_memory", m.extra_memory},
      {"tokens_by_nodes_visited", m.visits},
      {"dispatch_rows",
       {{"cross_node", json_of(m.cross_node_rows)}, {"intra_node", json_of(m.intra_node_rows)}}},
      {"node_groups", m.node_groups},
      {"device_groups", m.device_groups}};
}

OrderedJson json_of(const JudgedPlan& judged) {
  const Plan& plan = judged.plan;
  OrderedJson json = {{"name", judged.name},
                      {"file", judged.file},
                      {"preset", plan.preset},
                      {"settings", plan.settings},
                      {"model", plan.model},
                      {"topology", plan.topology.to_string()},
                      {"nodes", plan.topology.nodes()},
                      {"devices", plan.topology.devices()}};
  if (const auto time = mean_predicted_time(plan)) {
    json["time_basis"] = plan.time_basis;
    json["predicted_layer_time_s"] = json_of(*time);
  }
  return json;
}

OrderedJson json_of(const JudgedTrace& trace) {
  return {{"name", trace.name},   {"file", trace.file},     {"model", trace.model},
          {"phase", trace.phase}, {"tokens", trace.tokens}, {"sequences", trace.sequences}};
}

// The total's figures stand in the result itself, the layers' in a list.
OrderedJson result_json(const Evaluation& evaluation, std::size_t t, std::size_t p) {
  const JudgedPlan& judged = evaluation.plans[p];
  const PlanMetrics& metrics = evaluation.metrics[t][p];
  OrderedJson json = {{"plan", judged.name}, {"trace", evaluation.traces[t].name}};
  json.update(json_of(metrics.total));
  double worst = 0;
  for (const auto& layer : metrics.layers) worst = std::max(worst, layer.load_max_over_mean);
  json["load_max_over_mean_worst"] = worst;
  if (!evaluation.devices.empty())
    json["work_max_over_mean"] = work_max_over_mean(metrics, evaluation.devices);
  const auto loss = loss_against_best(evaluation, t, p);
  json["loss_against_best"] = loss ? OrderedJson(*loss) : OrderedJson(nullptr);
  OrderedJson layers = OrderedJson::array();
  for (std::size_t l = 0; l < metrics.layers.size(); ++l) {
    OrderedJson layer = {{"layer", l}};
    layer.update(json_of(metrics.layers[l]));
    if (!evaluation.devices.empty())
      layer["work_max_over_mean"] = work_max_over_mean(metrics.layers[l], evaluation.devices);
    const LayerTime& time = judged.plan.layers[l].predicted_time;
    if (time.total_s() > 0) layer["predicted_time_s"] = json_of(time);
    layers.push_back(std::move(layer));
  }
  json["layers"] = std::move(layers);
  return json;
}

}  // namespace

std::string evaluation_json(const Evaluation& evaluation) {
  OrderedJson plans = OrderedJson::array(), traces = OrderedJson::array();
  OrderedJson results = OrderedJson::array();
  for (const auto& plan : evaluation.plans) plans.push_back(json_of(plan));
  for (std::size_t t = 0; t < evaluation.traces.size(); ++t) {
    traces.push_back(json_of(evaluation.traces[t]));
    for (std::size_t p = 0; p < evaluation.plans.size(); ++p)
      results.push_back(result_json(evaluation, t, p));
  }
  OrderedJson json = {{"format", "gracemoe-evaluation"},
                      {"version", 1},
                      {"routing", to_string(evaluation.routing)}};
  if (results.size() == 1) json.update(json_of(evaluation.metrics[0][0].total));
  if (!evaluation.warnings.empty()) json["warnings"] = evaluation.warnings;
  json["plans"] = std::move(plans);
  json["traces"] = std::move(traces);
  json["results"] = std::move(results);
  return json.dump(1, ' ', false, OrderedJson::error_handler_t::replace) + "\n";
}

}  // namespace gracemoe
