#include "cli/deployment_options.h"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <bit>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/progress.h"
#include "cli/numbers.h"
#include "metrics/machine.h"
#include "model/tokenizer.h"
#include "runtime/together.h"

namespace gracemoe {

void add_deployment_arguments(CLI::App& command, DeploymentArguments& a) {
  add_engine_arguments(command, a);
  command.add_option("--plan", a.plan, "plan file (default: contiguous placement)");
  command.add_option("--exchange", a.exchange, "flat-expert | flat-device | hierarchical")
      ->capture_default_str();
  command
      .add_option("--routing", a.routing,
                  "primary | wrr | tar: which copy of an expert serves a token")
      ->capture_default_str();
}

namespace {

void add_wire_arguments(CLI::App& command, DeploymentArguments& a) {
  command
      .add_option(
          "--reduction", a.reduction,
          "fp32 | exact | bf16: partial sums; every output row sent home; partial sums rounded to "
          "bf16 (fewest bytes, not lossless)")
      ->capture_default_str();
  command
      .add_option(
          "--overlap", a.overlap,
          "none | stage | batch | auto: what is computed while rows are on the wire: nothing; "
          "experts whose rows are here; that and the other half of the step's rows; the "
          "one of the last two that has been faster so far (on one node: none)")
      ->capture_default_str();
  command
      .add_option("--intra", a.intra,
                  "mpi | shared | auto: rows reach devices of the same node in messages; through "
                  "shared memory; through shared memory on the nodes whose ranks all can")
      ->capture_default_str();
  command
      .add_option("--packing", a.packing,
                  "none | sums | rows | all: what travels between nodes in fewer bytes to the same "
                  "bits; rows gain on links below about 1 Gbit/s")
      ->capture_default_str();
  command
      .add_option(
          "--even", a.even,
          "none | auto | always: devices with more rows for other nodes than others of "
          "their node hand some to these: never; in steps whose rows lie unevenly, where no "
          "result depends on it; before every dispatch")
      ->capture_default_str();
}

void add_kernel_arguments(CLI::App& command, DeploymentArguments& a) {
  command
      .add_option("--backend", a.backend, "cpu | reference: bf16 kernels, or plain float32 loops")
      ->check(CLI::IsMember({"cpu", "reference"}))
      ->capture_default_str();
  command.add_option("--isa", a.isa,
                     "avx2 | avx512 | avx512-bf16 (default: the best this machine has)");
  command
      .add_option("--dense", a.dense,
                  "packed | onednn: dense products by our kernels, or by oneDNN (AVX-512)")
      ->capture_default_str();
  command
      .add_option(
          "--weights", a.weights,
          "bf16 | int8: as in the checkpoint, or rounded to 8 bits: half the memory, faster, "
          "not lossless")
      ->capture_default_str();
  command
      .add_option("--threads", a.threads, "threads a rank (default: cores of the host / its ranks)")
      ->check(CLI::Range(1, 1024));
}

}  // namespace

void add_engine_arguments(CLI::App& command, DeploymentArguments& a) {
  command.add_option("--model", a.model, "Hugging Face model folder")->required();
  command.add_option(
      "--topology", a.topology,
      "nodes x devices such as 2x2 (default: found from MPI's shared-memory domains)");
  add_wire_arguments(command, a);
  add_kernel_arguments(command, a);
  command.add_option("--max-rows", a.max_rows, "rows a device computes in one step")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command.add_option("--max-sequences", a.max_sequences, "sequences under way at once on a device")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      .add_option("--timeout", a.timeout,
                  "seconds after which a silent rank ends the job (0: never)")
      ->check(number_from(0))
      ->capture_default_str();
  command
      .add_option(
          "--memory-gb", a.memory_gb,
          "memory of each machine that its ranks may take together, in 10^9 bytes (default: "
          "what is available)")
      ->check(number_above(0));
  command.add_flag("--round-weights", a.round_weights,
                   "take float16 and float32 weights that bf16 does not hold, rounded to it");
  command.add_flag("--quiet", a.quiet, "no progress bar, no configuration line");
}

int default_threads(int ranks_on_host) {
  const int machine = std::max(1, static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN)));
  const int usable = std::max(1, this_machine().cores);
  return usable < machine ? usable : std::max(1, machine / ranks_on_host);
}

DeploymentOptions deployment_options(const DeploymentArguments& a, bool record_routing,
                                     int ranks_on_host) {
  DeploymentOptions options;
  options.model = a.model;
  options.plan = a.plan;
  options.exchange = parse_exchange_kind(a.exchange);
  options.reduction = parse_reduction(a.reduction);
  options.overlap = parse_overlap(a.overlap);
  options.intra = parse_intra(a.intra);
  options.packing = parse_packing(a.packing);
  options.even = parse_even(a.even);
  options.routing = parse_routing_policy(a.routing);
  options.reference_backend = a.backend == "reference";
  options.cpu.isa = a.isa;
  options.cpu.dense = a.dense;
  options.cpu.weights = a.weights;
  if (options.reference_backend && a.weights != "bf16")
    fail_usage({"weights of the reference backend", a.weights, "bf16", "use --backend cpu"});
  options.cpu.threads = a.threads > 0 ? a.threads : default_threads(ranks_on_host);
  if (!options.reference_backend) check_cpu_options(options.cpu);
  options.record_routing = record_routing;
  options.rounding = a.round_weights ? WeightRounding::kNearest : WeightRounding::kRefuse;
  options.rows = a.max_rows;
  options.memory_bytes = a.memory_gb * 1e9;
  options.progress = !a.quiet;
  return options;
}

void refuse_twice(const std::vector<std::string>& outputs) {
  for (const std::string& output : outputs) {
    if (!output.empty() && std::count(outputs.begin(), outputs.end(), output) > 1)
      fail_usage({"outputs", output + " for two of them", "a file of its own for each",
                  "give one of them another name"});
  }
}

void require_outputs(const std::vector<std::string>& outputs, CliContext& context) {
  together(context.transport(), [&] {
    refuse_twice(outputs);
    for (const std::string& output : outputs)
      if (context.root() && !output.empty()) require_writable(output);
  });
}

RunSize size_of_run(std::span<const Request> mine, const RunOptions& options) {
  return {cache_positions(mine, options), logit_rows(mine, options)};
}

std::unique_ptr<Deployment> deploy(const DeploymentArguments& a, bool record_routing,
                                   const RunSize& size, CliContext& context) {
  const int ranks_on_host = context.ranks_on_host();
  DeploymentOptions options;
  together(context.transport(), [&] {
    options = deployment_options(a, record_routing, ranks_on_host);
    options.cache_positions = size.cache_positions;
    options.logit_rows = size.logit_rows;
  });
  const double start = wall_seconds();
  auto deployment = std::make_unique<Deployment>(options, context.topology(), context.transport());
  if (context.root() && !a.quiet)
    fmt::print(stderr, "loaded {} for this rank in {:.1f} s\n",
               human_bytes(static_cast<double>(deployment->checkpoint().bytes_used())),
               wall_seconds() - start);
  if (context.root() && !a.quiet)
    fmt::print(stderr,
               "model {} ({}), plan {}, topology {}, exchange {}, routing {}, reduction {}, "
               "overlap {}, intra {}, packing {}, even {}, backend {}, {} thread{} a rank\n",
               deployment->model_name(), deployment->config().architecture_name,
               deployment->plan().preset, context.topology().to_string(),
               to_string(options.exchange), to_string(options.routing),
               to_string(options.reduction), to_string(options.overlap), deployment->intra(),
               deployment->packing(), deployment->even(), deployment->backend().name(),
               options.cpu.threads, options.cpu.threads == 1 ? "" : "s");
  return deployment;
}

std::int64_t reading_positions(const DeploymentArguments& a, int window) {
  const Request one{0, std::vector<int>(static_cast<std::size_t>(window), 0), 0};
  const auto count = static_cast<std::size_t>(a.max_rows / window + 2);
  return cache_positions(std::vector<Request>(count, one), run_options(a));
}

RunOptions run_options(const DeploymentArguments& a) {
  RunOptions options;
  options.max_rows = a.max_rows;
  options.max_sequences = a.max_sequences;
  options.always_cut = a.overlap != to_string(Overlap::kAuto);
  return options;
}

EncodedTexts encode_texts(const std::vector<std::string>& files, const std::string& model,
                          CliContext& context) {
  std::vector<std::int32_t> flat;  // tokenizer's vocabulary, then of each text: count, ids
  together(context.transport(), [&] {
    if (!context.root()) return;
    const Tokenizer tokenizer = Tokenizer::of_folder(model);
    flat.push_back(tokenizer.vocab_size());
    for (const std::string& file : files) {
      const std::vector<int> ids = tokenizer.encode(read_file(file), false);
      if (ids.empty()) fail_input({file, "no token", "a text", "give a file that is not empty"});
      flat.push_back(static_cast<std::int32_t>(ids.size()));
      flat.insert(flat.end(), ids.begin(), ids.end());
    }
  });
  const Bytes bytes = context.transport().broadcast(std::as_bytes(std::span(flat)), 0);
  const std::span<const std::int32_t> all(reinterpret_cast<const std::int32_t*>(bytes.data()),
                                          bytes.size() / sizeof(std::int32_t));
  EncodedTexts encoded;
  encoded.tokenizer_vocab = all[0];
  for (std::size_t at = 1; at < all.size();) {
    const auto count = static_cast<std::size_t>(all[at++]);
    encoded.texts.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(at),
                               all.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
  }
  return encoded;
}

std::vector<std::int64_t> flat_requests(std::span<const Request> requests) {
  std::vector<std::int64_t> flat;  // of each: eight numbers, the sampling's, prompt, stop texts
  const auto put = [&](auto value) { flat.push_back(std::bit_cast<std::int64_t>(value)); };
  for (const Request& r : requests) {
    const SamplingOptions& s = r.sampling;
    flat.insert(flat.end(), {static_cast<std::int64_t>(r.id), static_cast<std::int64_t>(r.stream),
                             r.max_new_tokens, r.logprobs, s.top_k});
    put(s.seed);
    for (const double value : {s.temperature, s.top_p, s.min_p, s.repetition_penalty,
                               s.presence_penalty, s.frequency_penalty})
      put(value);
    flat.push_back(static_cast<std::int64_t>(r.prompt.size()));
    flat.insert(flat.end(), r.prompt.begin(), r.prompt.end());
    flat.push_back(static_cast<std::int64_t>(r.stop.size()));
    for (const std::string& stop : r.stop) {
      flat.push_back(static_cast<std::int64_t>(stop.size()));
      flat.insert(flat.end(), stop.begin(), stop.end());
    }
  }
  return flat;
}

namespace {

Request read_request(const std::int64_t*& at) {
  Request r;
  SamplingOptions& s = r.sampling;
  r.id = static_cast<std::uint64_t>(*at++);
  r.stream = static_cast<std::uint64_t>(*at++);
  r.max_new_tokens = static_cast<int>(*at++);
  r.logprobs = static_cast<int>(*at++);
  s.top_k = static_cast<int>(*at++);
  s.seed = static_cast<std::uint64_t>(*at++);
  for (double* value : {&s.temperature, &s.top_p, &s.min_p, &s.repetition_penalty,
                        &s.presence_penalty, &s.frequency_penalty})
    *value = std::bit_cast<double>(*at++);
  for (std::int64_t left = *at++; left > 0; --left) r.prompt.push_back(static_cast<int>(*at++));
  for (std::int64_t stops = *at++; stops > 0; --stops) {
    std::string& stop = r.stop.emplace_back();
    for (std::int64_t left = *at++; left > 0; --left) stop += static_cast<char>(*at++);
  }
  return r;
}

}  // namespace

std::vector<Request> share_requests(const std::vector<Request>& requests, Transport& transport) {
  const std::vector<std::int64_t> flat = flat_requests(requests);
  const Bytes bytes = transport.broadcast(std::as_bytes(std::span(flat)), 0);
  const auto* at = reinterpret_cast<const std::int64_t*>(bytes.data());
  const auto* end = at + bytes.size() / sizeof(std::int64_t);
  std::vector<Request> shared;
  while (at != end) shared.push_back(read_request(at));
  return shared;
}

}  // namespace gracemoe
