// gracemoe evaluate: plans side by side on routing traces.
#include <fmt/core.h>

#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "report/evaluation.h"

namespace gracemoe {
namespace {

struct EvaluateArguments {
  std::vector<std::string> plans, traces;
  std::string routing = "tar", json, cluster;
  bool per_layer = false;
  int threads = 0;
};

void set_cluster(Evaluation& evaluation, const std::string& file) {
  const Cluster cluster = read_cluster(file);
  for (const JudgedPlan& judged : evaluation.plans)
    if (judged.plan.topology != cluster.topology)
      fail_usage({judged.file, "a plan for " + judged.plan.topology.to_string(),
                  cluster.topology.to_string() + ", as in " + file, "judge it without --cluster"});
  evaluation.devices = cluster.devices;
}

void evaluate_plans(const EvaluateArguments& a, bool json_wanted) {
  const bool json_only = json_wanted && (a.json.empty() || a.json == "-");
  if (json_wanted && !json_only) require_writable(a.json);
  Evaluation evaluation;
  evaluation.routing = parse_routing_policy(a.routing);
  const auto plan_names = file_labels(a.plans), trace_names = file_labels(a.traces);
  for (std::size_t p = 0; p < a.plans.size(); ++p)
    evaluation.plans.push_back({plan_names[p], a.plans[p], read_plan(a.plans[p])});
  if (!a.cluster.empty()) set_cluster(evaluation, a.cluster);
  for (std::size_t t = 0; t < a.traces.size(); ++t)
    judge(evaluation, trace_names[t], a.traces[t], read_trace(a.traces[t]), a.threads);
  for (const std::string& warning : evaluation.warnings)
    fmt::print(stderr, "{}\n", printable(warning));
  if (json_only)
    fmt::print("{}", evaluation_json(evaluation));
  else
    fmt::print("{}", evaluation_text(evaluation, a.per_layer, output_colour()));
  if (json_wanted && !json_only) write_file(a.json, evaluation_json(evaluation));
}

}  // namespace

void add_evaluate(CLI::App& app, Action& action) {
  auto a = std::make_shared<EvaluateArguments>();
  CLI::App* command = app.add_subcommand(
      "evaluate", "Judge plans on routing traces: what tokens visit, balance, memory, rows sent");
  command->add_option("--plan", a->plans, "plan to judge (repeat; the first is compared with)")
      ->required();
  command->add_option("--trace", a->traces, "routing trace to judge it on (repeat)")->required();
  command->add_option("--cluster", a->cluster,
                      "cluster file: tell balance as work over the devices' speeds too");
  command->add_option("--routing", a->routing, "primary | wrr | tar")->capture_default_str();
  command->add_flag("--per-layer", a->per_layer, "also every layer");
  const CLI::Option* json =
      command
          ->add_option("--json", a->json,
                       "write everything, layer by layer, as JSON; - or nothing: to standard "
                       "output, instead of the tables")
          ->expected(0, 1)
          ->type_name("[FILE]");
  command->add_option("--threads", a->threads, "0: one a hardware thread")
      ->check(CLI::Range(0, 4096))
      ->capture_default_str();
  command->callback([a, json, &action] {
    const bool json_wanted = json->count() > 0;
    action = [a, json_wanted](CliContext& context) {
      context.on_root([&] { evaluate_plans(*a, json_wanted); });
    };
  });
}

}  // namespace gracemoe
