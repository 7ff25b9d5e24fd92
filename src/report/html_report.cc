#include "report/html_report.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "plan/contiguous.h"
#include "report/co_activation.h"
#include "report/html_style.h"
#include "report/html_tables.h"
#include "report/load_figure.h"
#include "report/plan_figures.h"
#include "report/run_figures.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

struct KeyEntry {
  std::string_view css_class, text;
};

std::string key_line(std::initializer_list<KeyEntry> entries) {
  std::string html = "<div class=\"keyline\">";
  for (const auto& entry : entries) {
    html += fmt::format("<span><i class=\"{}\"></i>{}</span>", entry.css_class, entry.text);
  }
  return html + "</div>\n";
}

std::string node_key_line(int nodes) {
  std::string html = "<div class=\"keyline\">";
  for (int b = 0; b < std::min(nodes, 6); ++b) {
    html += fmt::format("<span><i class=\"node{0}\"></i>devices of node {0}</span>", b);
  }
  return html + "<span>dashed line: the layer's mean</span></div>\n";
}

// "2 nodes x 4 devices", or the devices of each node where they differ.
std::string describe(const Topology& topology) {
  if (!topology.uniform()) return "nodes with " + topology.to_string() + " devices";
  return fmt::format("{} nodes with {} devices each", topology.nodes(), topology.devices_on(0));
}

std::string run_section(const std::vector<RunStatistics>& runs) {
  std::string html = "<h2>Time and traffic</h2>\n";
  html +=
      "<div class=\"card scroll\">" + ladder_html(runs) + "</div>\n<div class=\"grid figures\">\n";
  html +=
      "<div class=\"card\"><h3>End-to-end time</h3>\n" +
      key_line({{"all-to-all", "all-to-all"}, {"experts", "experts"}, {"rest", "the rest"}}) +
      time_figure(runs) +
      "<p class=\"note\">Seconds from the first prompt in to the last token out. The all-to-all "
      "part is the mean over devices and includes waiting for slower devices.</p></div>\n";
  html +=
      "<div class=\"card\"><h3>Payload between devices</h3>\n" +
      key_line({{"cross-dispatch", "across nodes, dispatch"},
                {"cross-combine", "across nodes, combine"},
                {"intra", "inside nodes"}}) +
      traffic_figure(runs) +
      "<p class=\"note\">Activations and partial sums sent, all devices and layers together. The "
      "number is what crosses nodes, the slow link.</p></div>\n";
  return html + "</div>\n";
}

int node_count(const std::vector<int>& node_of) {
  return node_of.empty() ? 0 : 1 + *std::max_element(node_of.begin(), node_of.end());
}

std::string load_section(const std::string& title, const std::string& caption,
                         const std::vector<LoadColumn>& columns) {
  const std::string figure = load_figure(columns);
  if (figure.empty()) return "";
  return "<h2>" + title + "</h2>\n<p class=\"soft\">" + caption + "</p>\n" +
         node_key_line(node_count(columns.front().node_of)) + figure;
}

std::string measured_load_section(const std::vector<RunStatistics>& runs) {
  std::vector<LoadColumn> columns;
  columns.reserve(runs.size());
  for (const auto& run : runs) columns.push_back(measured_loads(run));
  return load_section(
      "Load of the devices, as run",
      "Token-expert computations of each device, layer by layer, as multiples of the layer's mean "
      "over devices. The slowest device sets the pace: the number in the corner, its load over the "
      "mean, is 1.00 when all are equally busy.",
      columns);
}

std::vector<PlanOutcome> replay(const RoutingTrace& trace, const std::vector<Plan>& plans,
                                const std::vector<std::string>& names) {
  std::vector<PlanOutcome> outcomes;
  for (std::size_t p = 0; p < plans.size(); ++p) {
    outcomes.push_back(
        {names[p], plans[p].topology, evaluate(plans[p], trace, RoutingPolicy::kTopologyAware)});
  }
  return outcomes;
}

std::string replay_section(const RoutingTrace& trace, const std::vector<PlanOutcome>& outcomes) {
  return fmt::format(
             "<h2>Plans on the trace</h2>\n<p class=\"soft\">Every one of the {} tokens of the "
             "trace "
             "replayed under each plan for {}, copies chosen by topology-aware routing; means over "
             "layers. With the hierarchical exchange a token crosses once for every other node it "
             "visits.</p>\n",
             with_commas(trace.tokens()), describe(outcomes.front().topology)) +
         "<div class=\"card scroll\">" + plan_table(outcomes) +
         "</div>\n<div class=\"grid\"><div class=\"card scroll\"><h3>Other nodes a token "
         "visits</h3>\n" +
         visits_figure(outcomes) + "</div></div>\n";
}

std::string plan_load_section(const std::vector<LoadColumn>& columns, std::string_view how) {
  return load_section("Load of the devices, as planned",
                      fmt::format("Token-expert computations of each device under each plan, as "
                                  "multiples of the layer's mean. {}",
                                  how),
                      columns);
}

std::string co_activation_section(const RoutingStatistics& statistics,
                                  const std::vector<Plan>& plans,
                                  const std::vector<std::string>& names) {
  if (statistics.affinity.empty()) return "";
  return fmt::format(
             "<h2>Experts that are chosen together</h2>\n<p class=\"soft\">Every cell is a pair of "
             "experts; the brighter, the more often one token chooses both. The order of rows and "
             "columns is the plan's: thin squares hold the experts of one device, thick squares "
             "those "
             "of one node. What is bright outside the thick squares makes tokens cross between "
             "nodes. "
             "Model {}, {} experts, top-{}.</p>\n",
             escape_xml(statistics.model), statistics.num_experts, statistics.top_k) +
         co_activation_figure(statistics, plans, names);
}

std::string lead(const ReportInput& input, const RoutingStatistics* statistics) {
  std::string html;
  if (!input.runs.empty()) {
    const auto& first = input.runs.front();
    std::string what = describe_workload(first.workload);
    if (const auto model = first.setting("model"); !model.empty()) what = model + ": " + what;
    html += "<p class=\"lead\">" + escape_xml(what) + "</p>\n";
    html +=
        "<p class=\"lead\">Measured on " + escape_xml(describe_machine(first.machine)) + "</p>\n";
  } else if (statistics != nullptr) {
    html += "<p class=\"lead\">" + escape_xml(statistics->model) + "</p>\n";
  }
  return html;
}

// Names for the captions: the preset, numbered where two plans share one.
std::vector<std::string> plan_names(const std::vector<Plan>& plans) {
  std::vector<std::string> names;
  for (const auto& plan : plans) {
    const auto same = std::count_if(plans.begin(), plans.end(),
                                    [&](const Plan& p) { return p.preset == plan.preset; });
    names.push_back(same > 1 ? fmt::format("{} ({})", plan.preset, names.size() + 1) : plan.preset);
  }
  return names;
}

std::vector<Plan> with_baseline(const std::vector<Plan>& plans) {
  const auto contiguous = [](const Plan& p) { return p.preset == "contiguous"; };
  std::vector<Plan> all = plans;
  if (all.empty() || std::any_of(all.begin(), all.end(), contiguous)) return all;
  const Plan& like = all.front();
  all.insert(all.begin(),
             contiguous_plan({like.model, like.fingerprint, like.num_experts, like.top_k,
                              static_cast<int>(like.layers.size()), like.topology}));
  return all;
}

void check_shapes(const RoutingStatistics& statistics, const std::vector<Plan>& plans) {
  for (const auto& plan : plans) {
    if (plan.topology != plans.front().topology) {
      fail_input({fmt::format("plan '{}'", plan.preset), plan.topology.to_string() + " devices",
                  plans.front().topology.to_string() + ", as in the first plan",
                  "compare plans for one cluster"});
    }
    const auto layers = static_cast<int>(plan.layers.size());
    if (plan.num_experts == statistics.num_experts && layers == statistics.layers) continue;
    fail_input({fmt::format("plan '{}'", plan.preset),
                fmt::format("{} layers of {} experts", layers, plan.num_experts),
                fmt::format("{} layers of {} experts, as in the trace of '{}'", statistics.layers,
                            statistics.num_experts, statistics.model),
                "give a plan and a trace of the same model"});
  }
}

// With a trace the plans are replayed; with statistics alone the loads are what to expect of the
// polling weights.
std::string plan_sections(const ReportInput& input, const RoutingStatistics& statistics) {
  const auto plans = with_baseline(input.plans);
  const auto names = plan_names(plans);
  check_shapes(statistics, plans);
  std::string html;
  std::vector<LoadColumn> columns;
  std::string_view how = "An expert with copies shares its load by their polling weights.";
  if (input.trace != nullptr) {
    const auto outcomes = replay(*input.trace, plans, names);
    html = replay_section(*input.trace, outcomes);
    for (const auto& outcome : outcomes) columns.push_back(replayed_loads(outcome));
    how = "Counted in the replay of the trace, copies chosen by topology-aware routing.";
  } else {
    for (std::size_t p = 0; p < plans.size(); ++p) {
      columns.push_back(expected_loads(statistics, plans[p], names[p]));
    }
  }
  return html + co_activation_section(statistics, plans, names) + plan_load_section(columns, how);
}

std::string body(const ReportInput& input) {
  std::optional<RoutingStatistics> counted;
  if (input.trace != nullptr) counted = count_statistics(*input.trace);
  const RoutingStatistics* statistics = counted ? &*counted : input.statistics;
  std::string html = lead(input, statistics);
  if (input.runs.size() > 1) html += key_figures(input.runs);
  if (!input.runs.empty()) html += run_section(input.runs) + measured_load_section(input.runs);
  if (statistics != nullptr && !input.plans.empty()) html += plan_sections(input, *statistics);
  if (!input.runs.empty()) html += settings_html(input.runs) + definitions_html();
  return html;
}

}  // namespace

std::string html_report(const ReportInput& input) {
  const auto title = escape_xml(input.title.empty() ? "gracemoe report" : input.title);
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<main>\n<h1>{0}</h1>\n{2}</main>\n"
      "</body>\n</html>\n",
      title, html_style(), body(input));
}

void write_html_report(const std::filesystem::path& path, const ReportInput& input) {
  write_file(path, html_report(input));
}

}  // namespace gracemoe
