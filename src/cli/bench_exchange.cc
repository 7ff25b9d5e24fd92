// gracemoe bench exchange: dispatch and combine alone, replaying a routing trace.
#include <fmt/core.h>

#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/bench.h"
#include "cli/numbers.h"
#include "planner/planner.h"
#include "runtime/together.h"
#include "study/exchange_report.h"
#include "study/shared_plan.h"
#include "trace/statistics.h"

namespace gracemoe {
namespace {

struct ExchangeArguments {
  std::string trace, plan, preset, topology,
      exchange = "hierarchical", reduction = "fp32", overlap = "stage", intra = "auto",
      packing = "sums", even = "none", homes = "even", routing = "tar", rate, out;
  int hidden = 0, tokens_per_step = 512, rounds = 3;
  std::int64_t max_tokens = 0;
  std::uint64_t seed = 1;
  double timeout = 600;
  bool quiet = false;
};

RoutingTrace head_of(RoutingTrace trace, std::int64_t tokens) {
  if (tokens == 0 || tokens >= trace.tokens()) return trace;
  const auto count = static_cast<std::size_t>(tokens);
  const std::size_t width = static_cast<std::size_t>(trace.layers * trace.top_k);
  trace.sequence.resize(count);
  trace.experts.resize(count * width);
  if (!trace.weights.empty()) trace.weights.resize(count * width);
  return trace;
}

// The plan of the command line, as text; made from the whole trace where only a preset is named.
std::string exchange_plan_text(const ExchangeArguments& a, const RoutingTrace& trace,
                               const Topology& topology) {
  if (!a.plan.empty() && !a.preset.empty())
    fail_usage({"plan", "--plan and --preset", "one of the two", ""});
  if (!a.plan.empty()) {
    const Plan plan = read_plan(a.plan);
    check_plan_fits(
        plan,
        {trace.model, trace.fingerprint, trace.num_experts, trace.top_k, trace.layers, topology},
        a.plan);
    return plan_text(plan);
  }
  const RoutingStatistics statistics = count_statistics(trace);
  PlannerInput input;
  input.statistics = &statistics;
  input.trace = &trace;
  input.model =
      make_cost_model(Cluster::uniform(topology), {a.hidden, a.hidden / 2}, a.tokens_per_step);
  return plan_text(make_plan(input, preset_by_name(a.preset.empty() ? "grace" : a.preset)));
}

void check_replayable(const ExchangeArguments& a) {
  if (parse_reduction(a.reduction) == Reduction::kBf16)
    fail_usage({"reduction of bench exchange", a.reduction, "fp32 or exact",
                "bf16 rounds partial sums, so that sums could not be checked to the bit"});
  if (parse_overlap(a.overlap) == Overlap::kAuto)
    fail_usage({"overlap of bench exchange", a.overlap, "none, stage or batch",
                "experts are stand-ins here, so that nothing can be chosen by their times: "
                "bench ladder measures auto"});
  if (parse_packing(a.packing) == Packing::kAuto)
    fail_usage({"packing of bench exchange", a.packing, "none, sums, rows or all",
                "a benchmark says what it measures"});
  if (parse_even(a.even) == Even::kAuto)
    fail_usage({"even of bench exchange", a.even, "none or always",
                "auto asks whoever runs steps, and nobody does here"});
  parse_replay_homes(a.homes);
}

ReplayOptions replay_options(const ExchangeArguments& a, const ReplayTokens& tokens) {
  ReplayOptions options;
  options.exchange.kind = parse_exchange_kind(a.exchange);
  options.exchange.reduction = parse_reduction(a.reduction);
  options.exchange.intra = parse_intra(a.intra);
  options.exchange.packing = parse_packing(a.packing);
  options.exchange.even = parse_even(a.even);
  options.exchange.overlap = parse_overlap(a.overlap);
  options.exchange.hidden = a.hidden;
  options.exchange.layers = tokens.layers;
  options.exchange.experts = tokens.experts;
  options.routing = parse_routing_policy(a.routing);
  options.tokens_per_step = a.tokens_per_step;
  options.rounds = a.rounds;
  options.seed = a.seed;
  return options;
}

std::vector<std::pair<std::string, std::string>> exchange_settings(const ExchangeArguments& a,
                                                                   const Plan& plan) {
  return {{"trace", a.trace},
          {"model", plan.model},
          {"hidden", std::to_string(a.hidden)},
          {"plan", a.plan.empty() ? plan.preset : a.plan},
          {"placement", plan.settings},
          {"topology", plan.topology.to_string()},
          {"exchange", a.exchange},
          {"routing", a.routing},
          {"reduction", a.reduction},
          {"overlap", a.overlap},
          {"intra", a.intra},
          {"packing", a.packing},
          {"homes", a.homes},
          {"even", a.even},
          {"tokens a step", std::to_string(a.tokens_per_step)}};
}

void bench_exchange(const ExchangeArguments& a, CliContext& context) {
  context.start(a.topology, a.timeout);
  Transport& transport = context.transport();
  RoutingTrace trace;
  std::string plan_on_root;
  together(transport, [&] {
    line_rate(a.rate);
    check_replayable(a);
    replay_options(a, {});
    if (!context.root()) return;
    if (!a.out.empty()) require_writable(a.out);
    trace = head_of(read_trace(a.trace), a.max_tokens);
    plan_on_root = exchange_plan_text(a, trace, context.topology());
  });
  const auto plan = share_plan(plan_on_root, a.plan.empty() ? "plan" : a.plan, transport);
  const ReplayTokens mine =
      deal_trace(trace, parse_replay_homes(a.homes), context.topology(), transport);
  ReplayOptions options = replay_options(a, mine);
  const std::int64_t steps = replay_steps(mine, a.tokens_per_step, transport) * a.rounds;
  ExchangeReport report;
  {
    ProgressBar bar("exchange", "steps", steps, a.quiet || !context.root());
    options.progress = [&bar](std::int64_t done) { bar.update(done); };
    report.result = replay_exchange(mine, *plan, options, context.topology(), transport);
  }
  report.settings = exchange_settings(a, *plan);
  report.topology = context.topology();
  report.tokens = trace.tokens();
  report.link_bits_per_s = line_rate(a.rate);
  together(transport, [&] {
    if (!context.root()) return;
    fmt::print("{}", exchange_text(report));
    if (!a.out.empty()) write_file(a.out, exchange_json(report));
  });
}

}  // namespace

void add_bench_exchange(CLI::App& bench, Action& action) {
  auto a = std::make_shared<ExchangeArguments>();
  CLI::App* command = bench.add_subcommand(
      "exchange",
      "Time dispatch and combine alone, replaying a routing trace, and check every sum");
  command->add_option("--trace", a->trace, "routing trace to replay (safetensors)")->required();
  command->add_option("--hidden", a->hidden, "numbers in a row")
      ->required()
      ->check(CLI::Range(1, 1 << 17));
  command->add_option("--plan", a->plan, "plan file");
  command->add_option("--preset", a->preset,
                      "instead: plan from the trace itself with this preset  [grace]");
  command->add_option(
      "--topology", a->topology,
      "nodes x devices such as 2x2 (default: found from MPI's shared-memory domains)");
  command->add_option("--exchange", a->exchange, "flat-expert | flat-device | hierarchical")
      ->capture_default_str();
  command->add_option("--routing", a->routing, "primary | wrr | tar")->capture_default_str();
  command->add_option("--reduction", a->reduction, "fp32 | exact")->capture_default_str();
  command
      ->add_option("--overlap", a->overlap,
                   "none | stage | batch: two halves of a step in flight, whole steps timed")
      ->capture_default_str();
  command->add_option("--intra", a->intra, "mpi | shared | auto")->capture_default_str();
  command->add_option("--packing", a->packing, "none | sums | rows | all")->capture_default_str();
  command
      ->add_option("--homes", a->homes,
                   "even | first: sequences are at home on all devices, or on each node's first")
      ->capture_default_str();
  command
      ->add_option("--even", a->even,
                   "none | always: devices of a node hand tokens over until all send as much")
      ->capture_default_str();
  command->add_option("--tokens-per-step", a->tokens_per_step, "tokens of a device in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--max-tokens", a->max_tokens, "of the trace, the first (0: all)")
      ->check(number_from(0))
      ->capture_default_str();
  command->add_option("--rounds", a->rounds, "times that the trace is replayed")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--seed", a->seed, "of the rows' numbers")->capture_default_str();
  add_rate_argument(*command, a->rate);
  command->add_option("--out", a->out, "write all figures as JSON");
  command
      ->add_option("--timeout", a->timeout,
                   "seconds after which a silent rank ends the job (0: never)")
      ->check(number_from(0))
      ->capture_default_str();
  command->add_flag("--quiet", a->quiet, "no progress bar");
  command->callback(
      [a, &action] { action = [a](CliContext& context) { bench_exchange(*a, context); }; });
}

}  // namespace gracemoe
