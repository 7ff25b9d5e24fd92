#include "report/html_plans.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/progress.h"
#include "plan/contiguous.h"
#include "report/co_activation.h"
#include "report/curve_figures.h"
#include "report/load_figure.h"
#include "report/plan_diff.h"
#include "report/plan_figures.h"
#include "report/svg.h"

namespace gracemoe {
namespace {

// The plans of a page, the contiguous one among them, and what they are called.
struct NamedPlans {
  std::vector<Plan> plans;
  std::vector<std::string> names;
  bool baseline_added = false;  // as the first
};

// Names for the captions: the preset, numbered where two plans share one.
std::vector<std::string> preset_names(const std::vector<Plan>& plans) {
  std::vector<std::string> names;
  for (const auto& plan : plans) {
    const auto same = std::count_if(plans.begin(), plans.end(),
                                    [&](const Plan& p) { return p.preset == plan.preset; });
    names.push_back(same > 1 ? fmt::format("{} ({})", plan.preset, names.size() + 1) : plan.preset);
  }
  return names;
}

NamedPlans named_plans(const ReportInput& input) {
  GM_CHECK(input.plan_names.empty() || input.plan_names.size() == input.plans.size(),
           "a name for every plan, or none");
  NamedPlans named{input.plans, input.plan_names, false};
  const auto contiguous = [](const Plan& p) { return p.preset == "contiguous"; };
  if (named.names.empty()) named.names = preset_names(named.plans);
  if (std::any_of(named.plans.begin(), named.plans.end(), contiguous)) return named;
  const Plan& like = named.plans.front();
  Plan plan = contiguous_plan({like.model, like.fingerprint, like.num_experts, like.top_k,
                               static_cast<int>(like.layers.size()), like.topology});
  named.plans.insert(named.plans.begin(), std::move(plan));
  named.names.insert(named.names.begin(), "contiguous");
  named.baseline_added = true;
  return named;
}

std::string shape(std::size_t layers, int num_experts) {
  return fmt::format("{} layers of {} experts", layers, num_experts);
}

void check_shapes(const std::vector<Plan>& plans, const std::vector<std::string>& names,
                  const RoutingStatistics* statistics) {
  const Plan& first = plans.front();
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const Plan& plan = plans[p];
    const auto refuse = [&](const std::string& got, const std::string& wanted,
                            const std::string& action) {
      fail_input({fmt::format("plan '{}'", names[p]), got, wanted, action});
    };
    if (plan.topology != first.topology)
      refuse(plan.topology.to_string() + " devices",
             first.topology.to_string() + ", as in the first plan",
             "compare plans for one cluster");
    const auto mine = shape(plan.layers.size(), plan.num_experts);
    if (statistics != nullptr) {
      const auto wanted =
          shape(static_cast<std::size_t>(statistics->layers), statistics->num_experts);
      if (mine != wanted)
        refuse(mine, wanted + ", as in the trace of '" + statistics->model + "'",
               "give a plan and a trace of the same model");
    } else if (const auto wanted = shape(first.layers.size(), first.num_experts); mine != wanted) {
      refuse(mine, wanted + ", as in the first plan", "compare plans of one model");
    }
  }
}

// "2 nodes x 4 devices", or the devices of each node where they differ.
std::string describe(const Topology& topology) {
  if (!topology.uniform()) return "nodes with " + topology.to_string() + " devices";
  return fmt::format("{} nodes with {} devices each", topology.nodes(), topology.devices_on(0));
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

std::string card(const std::string& title, const std::string& figure, const std::string& note) {
  if (figure.empty()) return "";
  return "<div class=\"card\"><h3>" + title + "</h3>\n<div class=\"scroll\">" + figure +
         "</div><p class=\"note\">" + note + "</p></div>\n";
}

Section replay_section(const RoutingTrace& trace, const std::vector<PlanOutcome>& outcomes) {
  std::string html = "<div class=\"card scroll\">" + plan_table(outcomes) +
                     "</div>\n<div class=\"grid figures\">\n";
  html +=
      card("How many other nodes a token visits", spread_figure(outcomes),
           "Share of the tokens, all layers together. The further left, the better: a token that "
           "visits none costs the slow link nothing.");
  html += card("What the exchanges send to other nodes", rows_figure(outcomes),
               "Rows (copies of a token's hidden state) that a token sends in dispatch in a layer, "
               "under each of the three exchanges. Shorter is better.");
  html += "</div>\n<div class=\"grid\">\n" +
          card("Other nodes a token visits, layer by layer", visits_figure(outcomes),
               "The mean over the trace's tokens. Lower is better.") +
          "</div>\n";
  return {"trace", "Plans on the trace",
          fmt::format("Every one of the {} tokens of the trace replayed under each plan for {}, "
                      "copies chosen by topology-aware routing; means over layers. With the "
                      "hierarchical exchange a token crosses once for every other node it visits.",
                      with_commas(trace.tokens()), describe(outcomes.front().topology)),
          html};
}

Section predicted_section(const NamedPlans& named) {
  const std::string figure = predicted_time_figure(named.plans, named.names);
  std::vector<std::string> bases;
  for (const auto& plan : named.plans) {
    if (!plan.time_basis.empty() &&
        std::find(bases.begin(), bases.end(), plan.time_basis) == bases.end())
      bases.push_back(plan.time_basis);
  }
  std::string note = "Of the device that takes longest, mean over layers. Shorter is better.";
  for (const auto& basis : bases) note += " Assumed: " + escape_xml(basis) + ".";
  return {"time", "Predicted time",
          "What the cost model expects of a layer in one step under each plan.",
          figure.empty() ? ""
                         : "<div class=\"grid figures\">" + card("Time of a layer", figure, note) +
                               "</div>\n"};
}

Section memory_section(const NamedPlans& named) {
  return {
      "memory", "What memory buys",
      "Copies of experts spare tokens the way to another node, and share the load of busy "
      "experts. Each curve holds the best plans found as the budget grows; the ring is the plan "
      "as it was made. Where a curve becomes flat, further copies buy little.",
      memory_figures(named.plans, named.names)};
}

Section ratio_section(const NamedPlans& named) {
  const std::string figure = ratio_figures(named.plans, named.names);
  return {
      "ratio", "Choosing the group sizes",
      "Groups of experts may differ in size so that experts which are chosen together stay "
      "together. To the right the sizes deviate more from equal ones (root mean square, in "
      "experts), which unbalances the devices; upwards more of the affinity lies inside groups, "
      "which is what one wants. Every dot is a candidate ratio; the ring is the choice: the knee, "
      "farthest above the dashed line between the ends. A curve that nowhere rises above that "
      "line has no knee, and sizes stay equal.",
      figure.empty() ? "" : "<div class=\"grid\">\n" + figure + "</div>\n"};
}

// The first plan given against every other; a single one against the contiguous plan.
Section diff_section(const NamedPlans& named) {
  std::size_t first = named.baseline_added && named.plans.size() > 2 ? 1 : 0;
  const std::span<const Plan> after(named.plans.begin() + static_cast<std::ptrdiff_t>(first) + 1,
                                    named.plans.end());
  const std::span<const std::string> names(
      named.names.begin() + static_cast<std::ptrdiff_t>(first) + 1, named.names.end());
  if (after.empty()) return {};
  return {
      "differences", "Where plans differ",
      "Devices are taken as they are numbered. Of an expert's instances that went and came, pairs "
      "are counted as moved, the rest as added or dropped; an instance that is new on a node must "
      "be brought over the slow link. In the pictures a column is an expert, a row a device; the "
      "experts stand in the order of the first plan, so that it is a staircase.",
      plan_diff_figures(named.plans[first], named.names[first], after, names)};
}

Section co_activation_section(const RoutingStatistics& statistics, const NamedPlans& named) {
  if (statistics.affinity.empty()) return {};
  return {"co-activation", "Experts that are chosen together",
          fmt::format(
              "Every cell is a pair of experts; the brighter, the more often one token chooses "
              "both. The order of rows and columns is the plan's: thin squares hold the experts of "
              "one device, thick squares those of one node. What is bright outside the thick "
              "squares makes tokens cross between nodes. Model {}, {} experts, top-{}.",
              escape_xml(statistics.model), statistics.num_experts, statistics.top_k),
          co_activation_figure(statistics, named.plans, named.names)};
}

Section load_section(const std::vector<LoadColumn>& columns, std::string_view how) {
  const std::string figure = load_figure(columns);
  return {"plan-load", "Load of the devices, as planned",
          fmt::format("Token-expert computations of each device under each plan, as multiples of "
                      "the layer's mean. {}",
                      how),
          figure.empty() ? "" : load_key_line(columns) + figure};
}

Section settings_section(const NamedPlans& named) {
  std::string html = "<div class=\"card scroll\"><table class=\"settings\">\n";
  bool known = false;
  for (std::size_t p = 0; p < named.plans.size(); ++p) {
    const auto& settings = named.plans[p].settings;
    known = known || !settings.empty();
    html += "<tr><th>" + escape_xml(named.names[p]) + "</th><td>" +
            (settings.empty() ? "\u2013" : escape_xml(settings)) + "</td></tr>\n";
  }
  return {"presets", "How the plans were made", "", known ? html + "</table></div>\n" : ""};
}

}  // namespace

std::vector<Section> plan_sections(const ReportInput& input, const RoutingStatistics* statistics) {
  if (input.plans.empty()) return {};
  const NamedPlans named = named_plans(input);
  check_shapes(named.plans, named.names, statistics);
  std::vector<Section> sections;
  std::vector<LoadColumn> columns;
  std::string_view how = "An expert with copies shares its load by their polling weights.";
  if (input.trace != nullptr) {
    const auto outcomes = replay(*input.trace, named.plans, named.names);
    sections.push_back(replay_section(*input.trace, outcomes));
    for (const auto& outcome : outcomes) columns.push_back(replayed_loads(outcome));
    how = "Counted in the replay of the trace, copies chosen by topology-aware routing.";
  } else if (statistics != nullptr) {
    for (std::size_t p = 0; p < named.plans.size(); ++p)
      columns.push_back(expected_loads(*statistics, named.plans[p], named.names[p]));
  }
  sections.push_back(predicted_section(named));
  sections.push_back(memory_section(named));
  sections.push_back(ratio_section(named));
  if (statistics != nullptr) sections.push_back(co_activation_section(*statistics, named));
  sections.push_back(load_section(columns, how));
  sections.push_back(diff_section(named));
  sections.push_back(settings_section(named));
  return sections;
}

}  // namespace gracemoe
