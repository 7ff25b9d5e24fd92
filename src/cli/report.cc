// gracemoe report: runs side by side, and pictures of plans.
#include <fmt/core.h>

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "cli/commands.h"
#include "plan/checkpoint.h"
#include "report/evaluation.h"
#include "report/html_report.h"
#include "report/ladder.h"

namespace gracemoe {
namespace {

struct ReportArguments {
  std::vector<std::string> runs, plans;
  std::string trace, ladder, html, title;
};

bool presets_repeat(const std::vector<Plan>& plans) {
  std::set<std::string> presets;
  for (const Plan& plan : plans) presets.insert(plan.preset);
  return presets.size() < plans.size();
}

void warn_of_other_checkpoints(const ReportArguments& a, const std::vector<Plan>& plans,
                               const RoutingTrace& trace) {
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const std::string warning =
        checkpoint_warning(plans[p], a.plans[p], a.trace, trace.model, trace.fingerprint);
    if (!warning.empty()) fmt::print(stderr, "{}\n", printable(warning));
  }
}

void report(const ReportArguments& a) {
  if (a.runs.empty() && a.plans.empty())
    fail_usage({"report", "neither a run nor a plan", "--run FILE or --plan FILE", ""});
  if (a.runs.empty() && a.html.empty())
    fail_usage({"report", "plans, but no page to draw them on", "--html FILE", ""});
  if (a.runs.empty() && !a.ladder.empty())
    fail_usage({"report", "--ladder without runs", "--run FILE, one or more", ""});
  for (const std::string& output : {a.ladder, a.html})
    if (!output.empty()) require_writable(output);
  ReportInput input;
  input.title = a.title;
  for (const std::string& run : a.runs) input.runs.push_back(read_run_statistics(run));
  for (const std::string& plan : a.plans) input.plans.push_back(read_plan(plan));
  if (presets_repeat(input.plans)) input.plan_names = file_labels(a.plans);
  RoutingTrace trace;
  if (!a.trace.empty()) {
    trace = read_trace(a.trace);
    input.trace = &trace;
    warn_of_other_checkpoints(a, input.plans, trace);
  }
  if (!input.runs.empty()) print_ladder(input.runs, output_colour());
  if (!a.ladder.empty()) write_ladder_json(a.ladder, input.runs);
  if (!a.html.empty()) write_html_report(a.html, input);
}

}  // namespace

void add_report(CLI::App& app, Action& action) {
  auto a = std::make_shared<ReportArguments>();
  CLI::App* command = app.add_subcommand(
      "report", "Compare runs in a table and draw plans and runs on one HTML page");
  command->add_option("--run", a->runs, "statistics of a run (repeat; the first is the baseline)");
  command->add_option("--trace", a->trace, "routing trace that plans are judged on");
  command->add_option("--plan", a->plans, "plan to draw (repeat)");
  command->add_option("--title", a->title, "title of the page");
  command->add_option("--ladder", a->ladder, "write the comparison as JSON");
  command->add_option("--html", a->html, "write the page");
  command->callback([a, &action] {
    action = [a](CliContext& context) { context.on_root([&] { report(*a); }); };
  });
}

}  // namespace gracemoe
