// gracemoe calibrate: measures the links and the devices at hand, for the planner's cost model.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/clock.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "cli/numbers.h"
#include "metrics/machine.h"
#include "model/model_config.h"
#include "runtime/calibrate.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct CalibrateArguments {
  std::string model, topology, isa, out;
  int hidden = 0, expert_width = 0, experts = 0, threads = 0;
  double seconds = 12, timeout = 600;
  bool quiet = false;
};

CalibrateOptions calibrate_options(const CalibrateArguments& a) {
  CalibrateOptions options;
  options.seconds = a.seconds;
  const bool shape = a.hidden > 0 && a.expert_width > 0 && a.experts > 0;
  if (a.model.empty() != shape || (!shape && a.hidden + a.expert_width + a.experts > 0))
    fail_usage({"experts to measure", a.model.empty() ? "no full shape" : "a model and a shape",
                "--model DIR, or --hidden N --expert-width N --experts N", ""});
  if (shape) {
    options.hidden = a.hidden;
    options.expert_width = a.expert_width;
    options.experts = a.experts;
  } else {
    const ModelConfig config = read_model_config(a.model);
    options.hidden = config.hidden;
    options.expert_width = config.expert_width;
    options.experts = config.experts;
  }
  return options;
}

// How many times a rank's computing takes longer where the host's ranks want more cores than there
// are; 1: they have their own.
double core_sharing(int ranks_on_host, int threads) {
  const int cores = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  return std::max(1.0, static_cast<double>(ranks_on_host) * threads / cores);
}

void set_clocks(CalibrateOptions& options, double sharing, int threads) {
  options.clock = options.compute_clock = wall_seconds;
  if (sharing > 1)
    options.compute_clock = [=] { return process_cpu_seconds() / threads * sharing; };
}

std::string link_state(const LinkCalibration& link) {
  if (!link.measured) return "default figures: there is no such link here";
  const std::string failed = link.failed == 0
                                 ? ""
                                 : fmt::format("; {} of {} links could not be measured: {}",
                                               link.failed, link.links, link.trouble);
  return fmt::format("the line is off by {:.0f}%{}", 100 * link.error, failed);
}

std::string measured_text(const Calibration& c, const std::string& backend, int threads,
                          double sharing) {
  const MachineInfo machine = this_machine();
  std::string text =
      fmt::format("calibrate on {} ({}), {}, {} thread{} a device", c.cluster.topology.to_string(),
                  machine.cpu.empty() ? "unknown processor" : machine.cpu, backend, threads,
                  threads == 1 ? "" : "s");
  if (sharing > 1) text += fmt::format("; {:.3g} threads a core, CPU time times this", sharing);
  if (!c.intra_node.measured) text += "; links inside nodes assumed";
  if (!c.inter_node.measured) text += "; links between nodes assumed";
  return text;
}

void print_experts(const Calibration& c) {
  const ComputeSpec& compute = c.cluster.compute;
  fmt::print(
      "one expert ({} x {}): {:.4g} us to read, {:.4g} us a token; the line is off by "
      "{:.0f}%\n",
      compute.hidden, compute.expert_width, c.expert.intercept * 1e6, c.expert.slope * 1e6,
      100 * c.expert.error);
  fmt::print("{:>24} {:>12} {:>12}\n", "tokens an expert", "measured", "by the line");
  for (std::size_t i = 0; i < c.expert_seconds.size(); ++i)
    fmt::print("{:>24} {:>9.2f} us {:>9.2f} us\n", kExpertRows[i], c.expert_seconds[i] * 1e6,
               (c.expert.intercept + c.expert.slope * kExpertRows[i]) * 1e6);
}

void print_calibration(const Calibration& c) {
  const Cluster& cluster = c.cluster;
  fmt::print("inside a node:  {} ({})\n", to_string(cluster.intra_node), link_state(c.intra_node));
  for (const auto& [node, link] : cluster.node_overrides)
    fmt::print("  node {}: {}\n", node, to_string(link));
  fmt::print("between nodes:  {} ({})\n", to_string(cluster.inter_node), link_state(c.inter_node));
  for (const auto& [nodes, link] : cluster.pair_overrides)
    fmt::print("  nodes {} and {}: {}\n", nodes.first, nodes.second, to_string(link));
  print_experts(c);
  for (std::size_t d = 0; d < cluster.devices.size(); ++d)
    if (cluster.devices[d].speed != 1)
      fmt::print("device {}: speed {:.2f} of the fastest\n", d, cluster.devices[d].speed);
}

void run_calibrate(const CalibrateArguments& a, CliContext& context) {
  context.start(a.topology, a.timeout);
  Transport& transport = context.transport();
  const int ranks_on_host = context.ranks_on_host();
  CalibrateOptions options;
  CpuOptions cpu;
  std::unique_ptr<Backend> backend;
  together(transport, [&] {
    if (context.root()) require_writable(a.out);
    options = calibrate_options(a);
    cpu.isa = a.isa;
    cpu.threads = a.threads > 0 ? a.threads : default_threads(ranks_on_host);
    backend = make_cpu_backend(cpu);
  });
  const double sharing = core_sharing(ranks_on_host, cpu.threads);
  set_clocks(options, sharing, cpu.threads);
  Calibration result;
  {
    ProgressBar bar("calibrate", "steps", calibrate_steps(context.topology()),
                    a.quiet || !context.root());
    std::int64_t steps = 0;
    options.step_done = [&] { bar.update(++steps); };
    result = calibrate(transport, context.topology(), *backend, options);
  }
  together(transport, [&] { require_measured(result); });
  result.cluster.measured = measured_text(result, backend->name(), cpu.threads, sharing);
  together(transport, [&] {
    if (!context.root()) return;
    write_cluster(a.out, result.cluster);
    fmt::print("{}: {}\n", a.out, result.cluster.measured);
    print_calibration(result);
  });
}

}  // namespace

void add_calibrate(CLI::App& app, Action& action) {
  auto a = std::make_shared<CalibrateArguments>();
  CLI::App* command = app.add_subcommand(
      "calibrate",
      "Measure links and devices, alone or under mpirun, and write a cluster file for planning");
  command->add_option("--out", a->out, "cluster file to write (JSON)")->required();
  command->add_option("--model", a->model, "Hugging Face model folder: whose experts to measure");
  command->add_option("--hidden", a->hidden, "instead: hidden size")->check(CLI::Range(1, 1 << 17));
  command->add_option("--expert-width", a->expert_width, "and intermediate size of an expert")
      ->check(CLI::Range(1, 1 << 17));
  command->add_option("--experts", a->experts, "and experts of a layer")
      ->check(CLI::Range(1, 65535));
  command->add_option(
      "--topology", a->topology,
      "nodes x devices such as 2x2 (default: found from MPI's shared-memory domains)");
  command->add_option("--isa", a->isa,
                      "avx2 | avx512 | avx512-bf16 (default: the best this machine has)");
  command
      ->add_option("--threads", a->threads,
                   "threads a rank (default: cores of the host / its ranks)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--seconds", a->seconds, "to measure for, about")
      ->check(number_between(0.1, 3600))
      ->capture_default_str();
  command
      ->add_option("--timeout", a->timeout,
                   "seconds after which a silent rank ends the job (0: never)")
      ->check(number_from(0))
      ->capture_default_str();
  command->add_flag("--quiet", a->quiet, "no progress bar");
  command->callback(
      [a, &action] { action = [a](CliContext& context) { run_calibrate(*a, context); }; });
}

}  // namespace gracemoe
