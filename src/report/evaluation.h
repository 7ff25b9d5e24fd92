// Several plans judged on several routing traces, side by side: tables for a terminal, and JSON.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "planner/evaluate.h"
#include "report/text_table.h"

namespace gracemoe {

struct JudgedPlan {
  std::string name;  // a label, different for every plan
  std::string file;
  Plan plan;
};

// What is told of a trace; the tokens themselves need not stay in memory.
struct JudgedTrace {
  std::string name;  // a label, different for every trace
  std::string file, model, phase;
  std::int64_t tokens = 0, sequences = 0;
};

struct Evaluation {
  RoutingPolicy routing = RoutingPolicy::kTopologyAware;
  std::vector<JudgedPlan> plans;
  std::vector<JudgedTrace> traces;
  std::vector<std::vector<PlanMetrics>> metrics;  // [traces][plans]
  std::vector<std::string> warnings;              // a plan and a trace of different checkpoints
  // The cluster's, where they are known: the work of each is then told too. Every plan is for as
  // many.
  std::vector<DeviceSpec> devices;
};

// Adds a trace: every plan is replayed on it (planner/evaluate.h). Error (kInput) naming both files
// if a plan has another shape than the trace.
void judge(Evaluation& evaluation, const std::string& name, const std::string& file,
           const RoutingTrace& trace, int threads = 0);

// Labels for files: the file's name where it is the only one of that name, else the path as given,
// numbered where even this is there twice.
std::vector<std::string> file_labels(const std::vector<std::string>& paths);

// The plan's predicted time: means over the layers that have one; none: unknown.
std::optional<LayerTime> mean_predicted_time(const Plan& plan);

// How much worse a plan does on a trace than the best of the evaluated plans for the same cluster:
// nodes visited over the best plan's, minus 1. With plans made on different data this is what a
// plan loses on data that it was not made for. None where the best visits no other node and this
// one does.
std::optional<double> loss_against_best(const Evaluation& evaluation, std::size_t trace,
                                        std::size_t plan);

// For every trace a table with a row a plan: what tokens visit, balance, memory; then the rows that
// each of the three exchanges sends; with `per_layer` the same for every layer. With several plans
// and several traces the matrix of losses; where plans carry predicted times, these. The plan that
// visits the fewest nodes stands out.
std::string evaluation_text(const Evaluation& evaluation, bool per_layer, Colour colour);

// {"format": "gracemoe-evaluation", "version": 1, ...}; docs/formats.md.
std::string evaluation_json(const Evaluation& evaluation);

}  // namespace gracemoe
