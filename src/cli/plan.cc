// gracemoe plan: from a routing trace to a plan, and what to expect of it.
#include <fmt/core.h>

#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "base/progress.h"
#include "base/quantities.h"
#include "base/safetensors.h"
#include "cli/commands.h"
#include "cli/numbers.h"
#include "model/model_config.h"
#include "planner/evaluate.h"
#include "planner/planner.h"
#include "planner/search_plan.h"
#include "planner/settings.h"
#include "report/moves_text.h"
#include "report/plan_text.h"
#include "trace/statistics.h"

namespace gracemoe {
namespace {

constexpr double kDefaultSteps = 100'000;

struct PlanArguments {
  std::string trace, out, preset, topology, ratio, replication, routing = "tar", from, model;
  std::string eplb_policy, balance_on = "tokens";
  int nodes = 0, devices = 0, hidden = 0, expert_width = 0, expert_groups = -1;
  int holdout = 5;
  double budget = 0, bound = 0, effort = 0, time_limit = 0, tokens_per_device = 512, steps = 0;
  double device_memory_gb = 0;
  bool same_slots = false, quiet = false, curve = false;
  std::uint64_t seed = 0;
};

bool has_memory(const Cluster& cluster) {
  return std::any_of(cluster.devices.begin(), cluster.devices.end(),
                     [](const DeviceSpec& d) { return d.memory_bytes > 0; });
}

Cluster cluster_of(const PlanArguments& a) {
  if (!a.topology.empty() && (a.nodes > 0 || a.devices > 0))
    fail_usage({"cluster", "--topology and --nodes/--devices", "one of the two", ""});
  if (a.topology.empty() && (a.nodes == 0 || a.devices == 0))
    fail_usage({"cluster", "no size",
                "--nodes N --devices G (devices a node), or --topology NxG or a cluster file", ""});
  Cluster cluster = a.topology.empty() ? Cluster::uniform(Topology::grid(a.nodes, a.devices))
                                       : cluster_from_option(a.topology);
  if (a.device_memory_gb > 0 && has_memory(cluster))
    fail_usage({"memory of the devices", "--device-memory, and memory_gb in " + a.topology,
                "one of the two", ""});
  if (a.device_memory_gb > 0)
    for (DeviceSpec& device : cluster.devices) device.memory_bytes = a.device_memory_gb * 1e9;
  return cluster;
}

// Of the experts whose weights and rows the cost model counts.
ExpertShape shape_of(const PlanArguments& a, const Cluster& cluster) {
  if ((a.hidden > 0) != (a.expert_width > 0) || (!a.model.empty() && a.hidden > 0))
    fail_usage({"shape of an expert", "a part of it, or two",
                "--model DIR, or both --hidden N and "
                "--expert-width N",
                ""});
  if (!a.model.empty()) {
    const ModelConfig config = read_model_config(a.model);
    return {config.hidden, config.expert_width};
  }
  if (a.hidden > 0) return {a.hidden, a.expert_width};
  if (cluster.compute.hidden > 0) return {cluster.compute.hidden, cluster.compute.expert_width};
  if (has_memory(cluster))
    fail_usage({a.device_memory_gb > 0 ? "--device-memory" : "memory_gb in " + a.topology,
                "no size of an expert", "--model DIR, or --hidden N and --expert-width N", ""});
  return {};
}

void set_search(PlannerOptions& options, const PlanArguments& a) {
  const bool search = options.placement == Placement::kSearch;
  const auto only_search = [&](bool given, const char* option) {
    if (given && !search) fail_usage({option, "preset " + options.preset, "the preset grace+", ""});
  };
  only_search(a.bound > 0, "--balance");
  only_search(a.effort > 0, "--effort");
  only_search(a.time_limit > 0, "--time-limit");
  only_search(a.same_slots, "--same-slots");
  only_search(a.balance_on != "tokens", "--balance-on");
  only_search(!a.from.empty(), "--from");
  if (a.steps > 0 && a.from.empty())
    fail_usage({"--steps", "no --from", "a plan to start from", ""});
  only_search(a.device_memory_gb > 0, "--device-memory");
  if (a.bound > 0) options.balance_bound = a.bound;
  if (a.effort > 0) options.effort = a.effort;
  options.time_limit_s = a.time_limit;
  options.same_slots = a.same_slots;
  options.balance_experts = a.balance_on == "experts";
}

PlannerOptions options_of(const PlanArguments& a) {
  const std::string preset = !a.preset.empty() ? a.preset : a.from.empty() ? "grace" : "grace+";
  PlannerOptions options = preset_by_name(preset);
  options.seed = a.seed;
  options.quiet = a.quiet;
  const bool grouped = options.placement == Placement::kHierarchical;
  const bool slots =
      options.placement == Placement::kEplb || options.placement == Placement::kBalance;
  if (!a.ratio.empty() && !grouped)
    fail_usage({"--ratio", "preset " + preset, "the preset grace", ""});
  if (!a.replication.empty() && (slots || options.placement == Placement::kSearch))
    fail_usage({"--replication", "preset " + preset + ", which chooses its own copies",
                "--memory-budget, or the preset grace", ""});
  if (a.budget > 0 && !slots && options.placement != Placement::kSearch)
    fail_usage({"--memory-budget", "preset " + preset, "grace+, eplb or balance", ""});
  if (!a.eplb_policy.empty() && options.placement != Placement::kEplb)
    fail_usage({"--eplb-policy", "preset " + preset, "the preset eplb", ""});
  if (a.expert_groups >= 0 && !slots)
    fail_usage({"--expert-groups", "preset " + preset, "the preset eplb or balance", ""});
  if (!a.ratio.empty()) set_ratio(options, a.ratio);
  if (a.curve && (!grouped || options.ratio_policy != RatioPolicy::kKnee))
    fail_usage({"--curve", grouped ? "--ratio " + a.ratio : "preset " + preset,
                "the preset grace with --ratio knee, which chooses from curves", ""});
  if (!a.replication.empty()) options.replication = parse_replication(a.replication);
  if (a.budget > 0) options.memory_budget = a.budget;
  if (!a.eplb_policy.empty()) options.eplb_policy = parse_eplb_policy(a.eplb_policy);
  if (a.expert_groups >= 0) options.expert_groups = a.expert_groups;
  set_search(options, a);
  return options;
}

void print_expectation(const Plan& contiguous, const Plan& plan, const RoutingTrace& trace,
                       RoutingPolicy routing, const CostModel& model) {
  fmt::print("{:<12} {:>14} {:>12} {:>10} {:>12} {:>12} {:>13} {:>12}\n", "", "nodes visited",
             "tokens that", "devices", "device load", "worst layer", "extra expert", "layer time");
  fmt::print("{:<12} {:>14} {:>12} {:>10} {:>12} {:>12} {:>13} {:>12}\n", "plan", "per token",
             "cross", "visited", "max/mean", "max/mean", "memory", "predicted");
  double base = 0;
  for (const Plan* p : {&contiguous, &plan}) {
    if (p == &plan && plan.preset == contiguous.preset) break;  // told already
    const PlanMetrics m = evaluate(*p, trace, routing);
    double worst = 0;
    for (const RoutingMetrics& layer : m.layers) worst = std::max(worst, layer.load_max_over_mean);
    fmt::print("{:<12} {:>14.3f} {:>11.1f}% {:>10.3f} {:>12.3f} {:>12.3f} {:>12.1f}% {:>9.3f} ms\n",
               p->preset, m.total.nodes_visited, 100 * m.total.crossing_share,
               m.total.devices_visited, m.total.load_max_over_mean, worst,
               100 * m.total.extra_memory, 1e3 * mean_layer_time(model, m).total_s());
    if (p == &contiguous)
      base = m.total.nodes_visited;
    else if (base > 0)
      fmt::print("{} visits {:+.1f}% other nodes per token against contiguous\n", p->preset,
                 100 * (m.total.nodes_visited / base - 1));
  }
}

// The curves that the plan was chosen from, as far as the preset has them.
void print_curves(const Plan& plan, bool every_layer, bool replay) {
  const Colour colour = output_colour();
  fmt::print("{}", ratio_choice_text(plan));
  if (every_layer) fmt::print("\n{}", ratio_curve_text(plan, colour));
  const std::string memory = memory_curve_text(
      plan, replay ? "on the text planned on" : "on tokens drawn from the statistics", colour);
  if (!memory.empty()) fmt::print("\n{}", memory);
}

// A bound that could not be kept is told: experts hotter than a device's share, or too few slots.
void print_missed_bound(const Plan& plan, const RoutingTrace& trace, RoutingPolicy routing,
                        const PlannerOptions& options, const CostModel& model) {
  if (options.placement != Placement::kSearch) return;
  const double even = work_max_over_mean(evaluate(plan, trace, routing), model.cluster.devices,
                                         balanced_step_tokens(options, model));
  if (even > options.balance_bound)
    fmt::print("max/mean is {:.3f} on the text planned on: the bound {:.3f} is missed\n", even,
               options.balance_bound);
}

struct Parts {
  RoutingStatistics fit;
  RoutingTrace seen, held_out;  // held_out empty: nothing to evaluate on but what planning saw
  bool from_statistics = false;
};

// A statistics file has no tokens to replay; a trace is split.
Parts read_parts(const PlanArguments& a) {
  const SafetensorsFile file(a.trace);
  const auto format = file.metadata().find("format");
  if (format != file.metadata().end() && format->second == "moe-stats")
    return {read_statistics(a.trace), {}, {}, true};
  RoutingTrace trace = read_trace(a.trace);
  if (a.holdout < 2) return {count_statistics(trace), std::move(trace), {}};
  TraceSplit split = split_by_sequence(trace, a.holdout);
  return {count_statistics(split.fit), std::move(split.fit), std::move(split.held_out)};
}

// What a search bounds where that is not the load of the table.
void print_work(const Plan& contiguous, const Plan& plan, const RoutingTrace& trace,
                RoutingPolicy routing, const Cluster& cluster, double tokens) {
  if (cluster.same_speeds() && tokens == 0) return;
  const auto work = [&](const Plan& p) {
    return work_max_over_mean(evaluate(p, trace, routing), cluster.devices, tokens);
  };
  const std::string what = tokens > 0
                               ? fmt::format("experts that a step of {:.6g} tokens uses", tokens)
                               : std::string("load");
  fmt::print("{}{}, max/mean: contiguous {:.3f}",
             cluster.same_speeds() ? "" : "devices differ in speed; their work, ",
             cluster.same_speeds() ? what : what + " over speed", work(contiguous));
  if (plan.preset != contiguous.preset) fmt::print(", {} {:.3f}", plan.preset, work(plan));
  fmt::print("\n");
}

void print_outcome(const Plan& plan, const Parts& parts, RoutingPolicy routing,
                   const CostModel& model, double tokens) {
  const bool held_out = parts.held_out.tokens() > 0;
  const RoutingTrace& judge = held_out ? parts.held_out : parts.seen;
  fmt::print(
      "planned on {} tokens; expected on {} tokens {}, routing {}:\n",
      with_commas(parts.seen.tokens()), with_commas(judge.tokens()),
      held_out ? "that planning did not see" : "that planning saw too (no part was held out)",
      to_string(routing));
  const Plan contiguous = make_plan(parts.fit, plan.topology, preset_contiguous());
  print_expectation(contiguous, plan, judge, routing, model);
  print_work(contiguous, plan, judge, routing, model.cluster, tokens);
}

void plan(const PlanArguments& a) {
  if (a.holdout == 1)
    fail_usage({"holdout", "1: nothing would be left to plan with", "0 (none) or at least 2", ""});
  require_writable(a.out);
  PlannerOptions options = options_of(a);
  const Cluster cluster = cluster_of(a);
  const RoutingPolicy routing = parse_routing_policy(a.routing);
  const Parts parts = read_parts(a);
  const bool replay = parts.seen.tokens() > 0;
  Plan from;
  if (!a.from.empty()) from = read_plan(a.from);
  PlannerInput input;
  input.statistics = &parts.fit;
  input.trace = replay ? &parts.seen : nullptr;
  input.model = make_cost_model(cluster, shape_of(a, cluster), a.tokens_per_device);
  if (a.device_memory_gb > 0 && a.budget == 0)
    options.memory_budget = budget_in_memory(input.model, parts.fit);
  input.from = a.from.empty() ? nullptr : &from;
  input.steps = a.steps > 0 ? a.steps : kDefaultSteps;
  fmt::print("{}\n", describe(options, input));
  if (const std::string note = budget_note(options, input); !note.empty()) fmt::print("{}\n", note);
  Plan plan = make_plan(input, options);
  const bool kept = !a.from.empty() && plan == from;
  if (replay && !kept) {
    const PlanMetrics metrics = evaluate(plan, parts.seen, routing);
    note_nodes_visited(plan, metrics);
    note_predicted_time(plan, metrics, input.model);
  } else if (parts.from_statistics && options.placement != Placement::kSearch) {
    note_expected_time(plan, input, options);
  }
  write_plan(a.out, plan);
  fmt::print("{}: {}, {} on {} (nodes x devices), {}\n", a.out,
             counted(static_cast<std::int64_t>(plan.layers.size()), "layer"),
             counted(plan.num_experts, "expert"), cluster.topology.to_string(),
             counted(plan.copies(), "copy", "copies"));
  if (!a.from.empty())
    fmt::print("{}", moves_text(from, plan, parts.seen, input.model, input.steps));
  if (replay) {
    print_outcome(plan, parts, routing, input.model, balanced_step_tokens(options, input.model));
    print_missed_bound(plan, parts.seen, routing, options, input.model);
  } else {
    fmt::print("{}\n", parts.from_statistics
                           ? "made from statistics: without a trace there are no tokens to say "
                             "what to expect; times are those of tokens drawn from them"
                           : "the trace has no tokens to plan by: experts stand in order, and "
                             "nothing says what to expect");
  }
  if (replay || parts.from_statistics) {
    fmt::print("predicted times: {}\n", describe(input.model));
    if (!kept) print_curves(plan, a.curve, replay);
  }
  const std::string memory =
      device_memory_text(plan, cluster, input.model.workload.expert_bytes, output_colour());
  if (!memory.empty()) fmt::print("\n{}", memory);
}

void add_cluster_options(CLI::App& command, PlanArguments& a) {
  command.add_option("--nodes", a.nodes, "nodes of the cluster")->check(number_above(0));
  command.add_option("--devices", a.devices, "devices a node")->check(number_above(0));
  command.add_option("--topology", a.topology,
                     "instead: nodes x devices such as 2x4, the devices of each node such as 3,1, "
                     "or a cluster file (.json; gracemoe calibrate writes one)");
  command
      .add_option(
          "--device-memory", a.device_memory_gb,
          "grace+: GB (10^9 bytes) each device has for experts' weights of all layers (with "
          "the shape of an expert); all of it is used unless --memory-budget says less")
      ->check(number_between(0, 1e9))
      ->check(number_above(0));
  command.add_option("--model", a.model, "model folder, for the shape of an expert");
  command.add_option("--hidden", a.hidden, "instead: its input width")
      ->check(CLI::Range(1, 1 << 24));
  command.add_option("--expert-width", a.expert_width, "and its inner width")
      ->check(CLI::Range(1, 1 << 24));
  command
      .add_option("--tokens-per-device", a.tokens_per_device,
                  "tokens of a step on each device, for predicted times")
      ->check(number_between(0, 1e9))
      ->check(number_above(0))
      ->capture_default_str();
}

void add_search_options(CLI::App& command, PlanArguments& a) {
  command
      .add_option("--memory-budget", a.budget,
                  "expert instances per expert, such as 1.25 for a quarter more memory (grace+: "
                  "over all layers; eplb, balance: slots of every layer)  [1.25]")
      ->check(number_between(1, 1e6));
  command.add_option("--balance", a.bound, "grace+: bound of the device load's max/mean  [1.1]")
      ->check(number_between(1, 1e6));
  command
      .add_option("--balance-on", a.balance_on,
                  "grace+: what devices should have equally much of: tokens, or experts used in a "
                  "step (decoding reads weights more than it computes)")
      ->check(CLI::IsMember({"tokens", "experts"}))
      ->capture_default_str();
  command.add_flag("--same-slots", a.same_slots,
                   "grace+: the same number of experts on every device in every layer, as other "
                   "systems want it");
  command.add_option("--effort", a.effort, "grace+: search steps, relative to the default  [1]")
      ->check(number_between(0.001, 1e6));
  command
      .add_option("--time-limit", a.time_limit,
                  "grace+: seconds after which no new search begins (the plan then depends on the "
                  "machine)")
      ->check(number_between(0, 1e9))
      ->check(number_above(0));
  command.add_option("--from", a.from,
                     "old plan: change it only where that pays for moving the weights");
  command
      .add_option("--steps", a.steps, "with --from: steps that the new plan will serve  [100000]")
      ->check(number_between(1, 1e15));
  command.add_flag("--quiet", a.quiet, "no progress bar");
}

}  // namespace

void add_plan(CLI::App& app, Action& action) {
  auto a = std::make_shared<PlanArguments>();
  CLI::App* command = app.add_subcommand(
      "plan", "Make a plan from a routing trace (or statistics): which device holds which experts");
  command->add_option("--trace", a->trace, "routing trace or statistics (safetensors)")->required();
  add_cluster_options(*command, *a);
  command->add_option("--preset", a->preset,
                      "contiguous | eplb | c2r | occult | grace | balance | grace+  [grace; grace+ "
                      "with --from]");
  command->add_option("--ratio", a->ratio,
                      "group sizes of grace: knee | uniform | free | a number in (0, 1]");
  command->add_flag(
      "--curve", a->curve,
      "grace: print what each layer's ratio is chosen from: deviation of the sizes and "
      "affinity inside groups");
  command->add_option("--replication", a->replication, "none | fixed | dynamic");
  command->add_option("--eplb-policy", a->eplb_policy, "auto | hierarchical | global  [auto]");
  command
      ->add_option("--expert-groups", a->expert_groups,
                   "eplb, balance: groups of the model's group-limited routing")
      ->check(number_from(0));
  add_search_options(*command, *a);
  command->add_option("--routing", a->routing, "primary | wrr | tar, for the expectation")
      ->capture_default_str();
  command
      ->add_option("--holdout", a->holdout,
                   "every n-th sequence is kept from planning, to say what to expect (0: none)")
      ->check(CLI::Range(0, 1 << 30))
      ->capture_default_str();
  command->add_option("--seed", a->seed, "of clustering and search")->capture_default_str();
  command->add_option("--out", a->out, "plan file to write (JSON)")->required();
  command->callback(
      [a, &action] { action = [a](CliContext& context) { context.on_root([&] { plan(*a); }); }; });
}

}  // namespace gracemoe
