// gracemoe bench compute: how fast one process computes a model of given shapes.
#include <fmt/core.h>

#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/bench.h"
#include "cli/deployment_options.h"
#include "cli/numbers.h"
#include "cli/profile_option.h"
#include "metrics/machine.h"
#include "model/presets.h"
#include "report/text_table.h"
#include "report/time_table.h"
#include "runtime/compute_bench.h"

namespace gracemoe {
namespace {

struct ComputeArguments {
  std::string model, preset = "olmoe-1b-7b", json, profile;
  int layers = 0;
  ComputeBenchOptions bench;
  bool no_verify = false, quiet = false;
};

double product_share(const ComputePhase& phase, const MachineLimits& limits) {
  return phase.work.flops / phase.median_seconds() / limits.product_flops;
}

std::string phase_table(const ComputeBenchResult& result) {
  std::vector<TextRow> rows = {{{"phase", "sequences", "tokens a step", "steps", "ms a step",
                                 "tokens/s", "MB read", "of bandwidth", "of products"},
                                true}};
  for (const ComputePhase& p : result.phases) {
    rows.push_back(
        {{p.name, std::to_string(p.batch), std::to_string(p.tokens),
          std::to_string(p.seconds.size()), fmt::format("{:.2f}", 1e3 * p.median_seconds()),
          fmt::format("{:.1f}", p.tokens_per_second()),
          fmt::format("{:.0f}", 1e-6 * (p.work.weight_bytes + p.work.cache_bytes)),
          fmt::format("{:.0f}%", 100 * p.bandwidth_share()),
          fmt::format("{:.0f}%", 100 * product_share(p, result.limits))},
         false});
  }
  return text_table(rows, 1, output_colour());
}

OrderedJson phase_json(const ComputePhase& p, const MachineLimits& limits) {
  return {{"phase", p.name},
          {"sequences", p.batch},
          {"tokens_a_step", p.tokens},
          {"seconds", p.seconds},
          {"median_seconds", p.median_seconds()},
          {"tokens_per_second", p.tokens_per_second()},
          {"weight_bytes", p.work.weight_bytes},
          {"cache_bytes", p.work.cache_bytes},
          {"flops", p.work.flops},
          {"share_of_bandwidth", p.bandwidth_share()},
          {"share_of_best_bandwidth", (p.work.weight_bytes + p.work.cache_bytes) /
                                          p.median_seconds() / limits.read_bytes_per_second},
          {"share_of_products", product_share(p, limits)}};
}

OrderedJson result_json(const ComputeArguments& a, const ModelConfig& config,
                        const ComputeBenchResult& result) {
  const MachineInfo machine = this_machine();
  OrderedJson json = {{"format", "gracemoe-bench-compute"},
                      {"version", 1},
                      {"machine",
                       {{"cpu", machine.cpu},
                        {"cores", machine.cores},
                        {"memory_bytes", machine.memory_bytes},
                        {"system", machine.system}}},
                      {"model", a.model.empty() ? a.preset : a.model},
                      {"layers", config.layers},
                      {"backend", result.backend},
                      {"threads", a.bench.cpu.threads},
                      {"context", a.bench.context},
                      {"limits",
                       {{"read_bytes_per_second", result.limits.read_bytes_per_second},
                        {"product_flops", result.limits.product_flops}}}};
  json["reference_error"] =
      a.no_verify ? OrderedJson(nullptr) : OrderedJson(result.reference_error);
  for (const ComputePhase& phase : result.phases)
    json["phases"].push_back(phase_json(phase, result.limits));
  return json;
}

void print_result(const ComputeArguments& a, const ModelConfig& config,
                  const ComputeBenchResult& result) {
  fmt::print(
      "{}, {} layers, {}, {} thread{}, {} positions behind a decoding sequence\n"
      "machine: {}; reads up to {:.1f} GB/s from huge pages, multiplies {:.1f} GFLOP/s in "
      "registers\n",
      a.model.empty() ? a.preset + " (random weights)" : a.model, config.layers, result.backend,
      a.bench.cpu.threads, a.bench.cpu.threads == 1 ? "" : "s", a.bench.context, this_machine().cpu,
      result.limits.read_bytes_per_second * 1e-9, result.limits.product_flops * 1e-9);
  if (!a.no_verify)
    fmt::print("verified: sequences alone and in batches agree to the bit; {:.2g} from float32\n",
               result.reference_error);
  fmt::print("\n{}", phase_table(result));
}

void bench(const ComputeArguments& given, CliContext&) {
  ComputeArguments a = given;
  for (const std::string& output : {a.json, a.profile})
    if (!output.empty()) require_writable(output);
  refuse_twice({a.json, a.profile});
  ModelConfig config = a.model.empty() ? preset_config(a.preset) : read_model_config(a.model);
  if (a.layers > 0) config = first_layers(config, a.layers);
  Checkpoint checkpoint =
      a.model.empty() ? Checkpoint::random(largest_tensor(config), 1) : Checkpoint(a.model);
  SpanRecorder recorder;
  if (!a.profile.empty()) a.bench.profile = &recorder;
  a.bench.verify = !a.no_verify;
  if (!a.quiet)
    a.bench.progress = [](const std::string& phase) { fmt::print(stderr, "{} ...\n", phase); };
  const ComputeBenchResult result = bench_compute(config, checkpoint, a.bench);
  print_result(a, config, result);
  if (!a.json.empty()) write_file(a.json, result_json(a, config, result).dump(2) + "\n");
  if (a.profile.empty()) return;
  const std::vector<RankSpans> spans = {{0, "this machine", recorder.log()}};
  write_trace_events(a.profile, spans);
  fmt::print("\n{}", time_table(spans, output_colour()));
}

void add_shape_arguments(CLI::App& command, ComputeArguments& a) {
  command.add_option("--model", a.model, "Hugging Face model folder (default: random weights)");
  command.add_option("--preset", a.preset, "shapes of random weights")
      ->check(CLI::IsMember(preset_names()))
      ->capture_default_str();
  command.add_option("--layers", a.layers, "only the first layers (default: all)")
      ->check(CLI::Range(1, 1000));
  command
      .add_option("--batches", a.bench.batches, "sequences at once, for prefill and decode each")
      ->delimiter(',')
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--prefill", a.bench.prefill_rows,
                  "prompt tokens of a prefill step, shared by its sequences")
      ->check(CLI::Range(1, 1 << 16))
      ->capture_default_str();
  command
      .add_option("--context", a.bench.context, "positions that a decoding sequence has behind it")
      ->check(CLI::Range(0, 1 << 20))
      ->capture_default_str();
}

}  // namespace

void add_bench_compute(CLI::App& parent, Action& action) {
  auto a = std::make_shared<ComputeArguments>();
  a->bench.batches = {1, 8, 32, 128};
  a->bench.cpu.threads = default_threads(1);
  CLI::App* command = parent.add_subcommand(
      "compute", "Prefill and decode in one process, beside the machine's limits");
  add_shape_arguments(*command, *a);
  CpuOptions& cpu = a->bench.cpu;
  command->add_option("--threads", cpu.threads, "threads (default: the cores)")
      ->check(CLI::Range(1, 1024));
  command->add_option("--isa", cpu.isa,
                      "avx2 | avx512 | avx512-bf16 (default: the best this machine has)");
  command->add_option("--weights", cpu.weights, "bf16 | int8")->capture_default_str();
  command->add_option("--seconds", a->bench.seconds, "time for each phase, at least three steps")
      ->check(number_between(0, 3600))
      ->capture_default_str();
  command->add_flag("--no-verify", a->no_verify, "do not check results first");
  command->add_flag("--quiet", a->quiet, "no progress lines");
  command->add_option("--json", a->json, "also write the figures to this file");
  add_profile_option(*command, a->profile);
  command->callback([a, &action] {
    action = [a](CliContext& context) { context.on_root([&] { bench(*a, context); }); };
  });
}

}  // namespace gracemoe
