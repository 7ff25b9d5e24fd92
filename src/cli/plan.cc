// gracemoe plan: from a routing trace to a plan, and what to expect of it.
#include <fmt/core.h>

#include "base/files.h"
#include "base/progress.h"
#include "base/safetensors.h"
#include "cli/commands.h"
#include "planner/evaluate.h"
#include "planner/planner.h"
#include "trace/statistics.h"

namespace gracemoe {
namespace {

struct PlanArguments {
  std::string trace, out, preset = "grace", topology, ratio, replication, routing = "tar";
  int nodes = 0, devices = 0;
  int holdout = 5;
  std::uint64_t seed = 0;
};

Topology topology_of(const PlanArguments& a) {
  if (!a.topology.empty() && (a.nodes > 0 || a.devices > 0))
    fail_usage({"cluster", "--topology and --nodes/--devices", "one of the two", ""});
  if (!a.topology.empty()) return Topology::parse(a.topology);
  if (a.nodes == 0 || a.devices == 0)
    fail_usage(
        {"cluster", "no size", "--nodes N --devices G (devices a node), or --topology NxG", ""});
  return Topology::grid(a.nodes, a.devices);
}

PlannerOptions options_of(const PlanArguments& a) {
  PlannerOptions options = preset_by_name(a.preset);
  options.seed = a.seed;
  if (!a.ratio.empty()) set_ratio(options, a.ratio);
  if (!a.replication.empty()) options.replication = parse_replication(a.replication);
  return options;
}

void print_expectation(const Plan& contiguous, const Plan& plan, const RoutingTrace& trace,
                       RoutingPolicy routing) {
  fmt::print("{:<12} {:>14} {:>14} {:>14} {:>14} {:>14} {:>13}\n", "", "nodes visited",
             "tokens that", "devices", "device load", "worst layer", "extra expert");
  fmt::print("{:<12} {:>14} {:>14} {:>14} {:>14} {:>14} {:>13}\n", "plan", "per token", "cross",
             "visited", "max/mean", "max/mean", "memory");
  double base = 0;
  for (const Plan* p : {&contiguous, &plan}) {
    if (p == &plan && plan.preset == contiguous.preset) break;  // told already
    const PlanMetrics m = evaluate(*p, trace, routing);
    double worst = 0;
    for (const RoutingMetrics& layer : m.layers) worst = std::max(worst, layer.load_max_over_mean);
    fmt::print("{:<12} {:>14.3f} {:>13.1f}% {:>14.3f} {:>14.3f} {:>14.3f} {:>12.1f}%\n", p->preset,
               m.total.nodes_visited, 100 * m.total.crossing_share, m.total.devices_visited,
               m.total.load_max_over_mean, worst, 100 * m.total.extra_memory);
    if (p == &contiguous)
      base = m.total.nodes_visited;
    else if (base > 0)
      fmt::print("{} visits {:+.1f}% other nodes per token against contiguous\n", p->preset,
                 100 * (m.total.nodes_visited / base - 1));
  }
}

struct Parts {
  RoutingStatistics fit;
  RoutingTrace seen, held_out;  // held_out empty: nothing to evaluate on but what planning saw
};

// A statistics file has no tokens to replay; a trace is split.
Parts read_parts(const PlanArguments& a) {
  const SafetensorsFile file(a.trace);
  const auto format = file.metadata().find("format");
  if (format != file.metadata().end() && format->second == "moe-stats")
    return {read_statistics(a.trace), {}, {}};
  RoutingTrace trace = read_trace(a.trace);
  if (a.holdout < 2) return {count_statistics(trace), std::move(trace), {}};
  TraceSplit split = split_by_sequence(trace, a.holdout);
  return {count_statistics(split.fit), std::move(split.fit), std::move(split.held_out)};
}

void plan(const PlanArguments& a) {
  if (a.holdout == 1)
    fail_usage({"holdout", "1: nothing would be left to plan with", "0 (none) or at least 2", ""});
  require_writable(a.out);
  const Topology topology = topology_of(a);
  const PlannerOptions options = options_of(a);
  const RoutingPolicy routing = parse_routing_policy(a.routing);
  const Parts parts = read_parts(a);
  fmt::print("{}\n", describe(options));
  Plan plan = make_plan(parts.fit, topology, options);
  const bool replay = parts.seen.tokens() > 0;
  if (replay) note_nodes_visited(plan, evaluate(plan, parts.seen, routing));
  write_plan(a.out, plan);
  fmt::print("{}: {} layers, {} experts on {} (nodes x devices), {} copies\n", a.out,
             plan.layers.size(), plan.num_experts, topology.to_string(), plan.copies());
  if (!replay) {
    fmt::print("made from statistics: without a trace there are no tokens to say what to expect\n");
    return;
  }
  const bool held_out = parts.held_out.tokens() > 0;
  const RoutingTrace& judge = held_out ? parts.held_out : parts.seen;
  fmt::print(
      "planned on {} tokens; expected on {} tokens {}, routing {}:\n",
      with_commas(parts.seen.tokens()), with_commas(judge.tokens()),
      held_out ? "that planning did not see" : "that planning saw too (no part was held out)",
      to_string(routing));
  print_expectation(make_plan(parts.fit, topology, preset_contiguous()), plan, judge, routing);
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto a = std::make_shared<PlanArguments>();
  CLI::App* command = app.add_subcommand(
      "plan", "Make a plan from a routing trace (or statistics): which device holds which experts");
  command->add_option("--trace", a->trace, "routing trace or statistics (safetensors)")->required();
  command->add_option("--nodes", a->nodes, "nodes of the cluster")->check(CLI::PositiveNumber);
  command->add_option("--devices", a->devices, "devices a node")->check(CLI::PositiveNumber);
  command->add_option(
      "--topology", a->topology,
      "instead: nodes x devices such as 2x4, or the devices of each node such as 3,1");
  command->add_option("--preset", a->preset, "contiguous | occult | grace")->capture_default_str();
  command->add_option("--ratio", a->ratio,
                      "group sizes of grace: knee | uniform | free | a number in (0, 1]");
  command->add_option("--replication", a->replication, "none | fixed | dynamic");
  command->add_option("--routing", a->routing, "primary | wrr | tar, for the expectation")
      ->capture_default_str();
  command
      ->add_option("--holdout", a->holdout,
                   "every n-th sequence is kept from planning, to say what to expect (0: none)")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--seed", a->seed, "of the clustering")->capture_default_str();
  command->add_option("--out", a->out, "plan file to write (JSON)")->required();
  command->callback(
      [a, &action] { action = [a](CliContext& context) { context.on_root([&] { plan(*a); }); }; });
}

}  // namespace gracemoe
