#include "report/html_report.h"

#include <fmt/format.h>

#include <optional>

#include "base/files.h"
#include "plan/checkpoint.h"
#include "report/html_plans.h"
#include "report/html_style.h"
#include "report/html_tables.h"
#include "report/load_figure.h"
#include "report/page_parts.h"
#include "report/run_figures.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

Section run_section(const std::vector<RunStatistics>& runs) {
  std::string html =
      "<div class=\"card scroll\">" + ladder_html(runs) + "</div>\n<div class=\"grid figures\">\n";
  html += "<div class=\"card\"><h3>End-to-end time</h3>\n" +
          key_line({{"all-to-all", "all-to-all"}, {"experts", "experts"}, {"rest", "the rest"}}) +
          "<div class=\"scroll\">" + time_figure(runs) +
          "</div><p class=\"note\">Seconds from the first prompt in to the last token out. The "
          "all-to-all "
          "part is the mean over devices and includes waiting for slower devices.</p></div>\n";
  html += "<div class=\"card\"><h3>Payload between devices</h3>\n" +
          key_line({{"cross-dispatch", "across nodes, dispatch"},
                    {"cross-combine", "across nodes, combine"},
                    {"intra", "inside nodes"}}) +
          "<div class=\"scroll\">" + traffic_figure(runs) +
          "</div><p class=\"note\">Activations and partial sums sent, all devices and layers "
          "together. The "
          "number is what crosses nodes, the slow link.</p></div>\n";
  return {"runs", "Time and traffic", "", html + "</div>\n"};
}

Section measured_load_section(const std::vector<RunStatistics>& runs) {
  std::vector<LoadColumn> columns;
  columns.reserve(runs.size());
  for (const auto& run : runs) columns.push_back(measured_loads(run));
  const std::string figure = load_figure(columns);
  return {"run-load", "Load of the devices, as run",
          "Token-expert computations of each device, layer by layer, as multiples of the layer's "
          "mean over devices. The slowest device sets the pace: the number in the corner, its load "
          "over the mean, is 1.00 when all are equally busy.",
          figure.empty() ? "" : load_key_line(columns) + figure};
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
  } else if (!input.plans.empty()) {
    html += "<p class=\"lead\">" + escape_xml(input.plans.front().model) + "</p>\n";
  }
  return html;
}

std::string text_of(const Section& section) {
  std::string html =
      "<section id=\"" + section.id + "\">\n<h2>" + escape_xml(section.title) + "</h2>\n";
  if (!section.caption.empty()) html += "<p class=\"soft\">" + section.caption + "</p>\n";
  return html + section.html + "</section>\n";
}

std::string contents(const std::vector<Section>& sections) {
  if (sections.size() < 3) return "";
  std::string html = "<nav>";
  for (const auto& section : sections)
    html += "<a href=\"#" + section.id + "\">" + escape_xml(section.title) + "</a>";
  return html + "</nav>\n";
}

// Plans and tokens of different checkpoints.
std::string warnings(const ReportInput& input, const RoutingStatistics* statistics) {
  std::string html;
  for (std::size_t p = 0; p < input.plans.size() && statistics != nullptr; ++p) {
    const Plan& plan = input.plans[p];
    const std::string warning =
        checkpoint_warning(plan, input.plan_names.empty() ? plan.preset : input.plan_names[p],
                           "the routing data", statistics->model, statistics->fingerprint);
    if (!warning.empty()) html += "<p class=\"lead\">" + escape_xml(warning) + "</p>\n";
  }
  return html;
}

std::string body(const ReportInput& input) {
  std::optional<RoutingStatistics> counted;
  if (input.trace != nullptr) counted = count_statistics(*input.trace);
  const RoutingStatistics* statistics = counted ? &*counted : input.statistics;
  std::vector<Section> sections;
  const auto add = [&](Section section) {
    if (!section.html.empty()) sections.push_back(std::move(section));
  };
  if (!input.runs.empty()) {
    add(run_section(input.runs));
    add(measured_load_section(input.runs));
  }
  for (auto& section : plan_sections(input, statistics)) add(std::move(section));
  if (!input.runs.empty()) {
    add({"settings", "What was run", "", settings_html(input.runs)});
    add({"definitions", "How to read the figures", "", definitions_html()});
  }
  std::string html = lead(input, statistics) + warnings(input, statistics) + contents(sections);
  if (input.runs.size() > 1) html += key_figures(input.runs);
  for (const auto& section : sections) html += text_of(section);
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
