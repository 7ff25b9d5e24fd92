// gracemoe generate: a batch of prompts in, completions and statistics out.
#include <fmt/core.h>

#include <numeric>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "cli/profile_option.h"
#include "cli/prompts.h"
#include "metrics/run_statistics.h"
#include "model/tokenizer.h"
#include "runtime/collect.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct GenerateArguments {
  DeploymentArguments deployment;
  PromptArguments prompts;
  SamplingOptions sampling;
  std::string out, stats, name = "run", trace, profile;
  int show = -1;
  bool ignore_eos = false, logit_hashes = false;
};

std::string completion_line(const Request& request, const Completion& c,
                            const Tokenizer& tokenizer) {
  OrderedJson line = {{"index", c.id},
                      {"prompt", tokenizer.decode(request.prompt, false)},
                      {"prompt_tokens", request.prompt.size()},
                      {"text", tokenizer.decode(c.tokens, true)},
                      {"tokens", c.tokens},
                      {"finish_reason", c.reason == FinishReason::kStop ? "stop" : "length"}};
  for (const std::uint64_t hash : c.logit_hashes) line["logit_hashes"].push_back(hex64(hash));
  return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

void write_completions(const GenerateArguments& a, const std::vector<Request>& requests,
                       const std::vector<Completion>& completions) {
  const Tokenizer tokenizer(std::filesystem::path(a.deployment.model) / "tokenizer.json");
  std::string lines;
  const int show = a.show >= 0 ? a.show : a.out.empty() ? static_cast<int>(completions.size()) : 0;
  for (std::size_t i = 0; i < completions.size(); ++i) {
    lines += completion_line(requests[i], completions[i], tokenizer) + "\n";
    if (static_cast<int>(i) < show)
      fmt::print("--- {}\n{}\n>>> {}\n", i, tokenizer.decode(requests[i].prompt, false),
                 tokenizer.decode(completions[i].tokens, true));
  }
  if (!a.out.empty()) write_file(a.out, lines);
}

Workload workload_of(const std::vector<Request>& requests,
                     const std::vector<Completion>& completions) {
  Workload w;
  w.prompts = static_cast<std::int64_t>(requests.size());
  for (const Request& r : requests) w.prompt_tokens += static_cast<std::int64_t>(r.prompt.size());
  for (const Completion& c : completions)
    w.generated_tokens += static_cast<std::int64_t>(c.tokens.size());
  return w;
}

void write_results(const GenerateArguments& a, Deployment& deployment, const RunTimes& times,
                   const std::vector<Request>& requests, const std::vector<Completion>& mine,
                   CliContext& context) {
  Transport& transport = context.transport();
  const std::vector<Completion> completions = collect_completions(transport, mine);
  RunStatistics stats =
      collect_statistics(deployment, times, workload_of(requests, completions), context.host());
  stats.name = a.name;
  RoutingTrace trace;
  if (!a.trace.empty()) trace = collect_trace(deployment, "mixed");
  together(transport, [&] {
    if (!context.root()) return;
    write_completions(a, requests, completions);
    if (!a.stats.empty()) write_run_statistics(a.stats, stats);
    if (!a.trace.empty()) write_trace(a.trace, trace);
  });
  if (context.root() && !a.deployment.quiet)
    fmt::print(stderr,
               "{}: {} prompts, {} prompt tokens, {} generated in {:.2f} s (prefill {:.2f} s, "
               "decode {:.2f} s), all-to-all {:.2f} s\n",
               a.name, stats.workload.prompts, with_commas(stats.workload.prompt_tokens),
               with_commas(stats.workload.generated_tokens), stats.end_to_end_s, stats.prefill_s,
               stats.decode_s, mean_all_to_all_s(stats));
}

void generate(const GenerateArguments& a, CliContext& context) {
  const auto deployment =
      deploy(a.deployment, !a.trace.empty(), {a.out, a.stats, a.trace, a.profile}, context);
  Transport& transport = context.transport();
  RunOptions options = run_options(a.deployment);
  options.sampling = a.sampling;
  options.ignore_eos = a.ignore_eos;
  options.logit_hashes = a.logit_hashes;
  const std::vector<Request> requests =
      read_prompts(a.prompts, a.deployment.model, context, options.sample_vocab);
  together(transport, [&] {
    check_sampling(a.sampling);
    check_requests(requests, deployment->config().vocab, deployment->config().max_positions);
  });
  const std::int64_t total = std::accumulate(
      requests.begin(), requests.end(), std::int64_t{0}, [](std::int64_t sum, const Request& r) {
        return sum + static_cast<std::int64_t>(r.prompt.size()) + std::max(0, r.max_new_tokens - 1);
      });
  const std::vector<Request> mine = requests_of(requests, transport.rank(), transport.size());
  RunTimes times;
  std::vector<Completion> completions;
  RunProfile profile(a.profile);
  {
    ProgressBar bar("generate", "tokens", total, a.deployment.quiet || !context.root());
    options.progress = [&bar](std::int64_t done) { bar.update(done); };
    transport.barrier();  // end-to-end time starts when all are ready
    profile.begin(options);
    completions = run_requests(deployment->model(), transport, mine, options, times);
  }
  write_results(a, *deployment, times, requests, completions, context);
  profile.write(context);
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  auto a = std::make_shared<GenerateArguments>();
  CLI::App* command =
      app.add_subcommand("generate", "Generate text for a batch of prompts, alone or under mpirun");
  add_deployment_arguments(*command, a->deployment);
  add_prompt_arguments(*command, a->prompts);
  command->add_option("--temperature", a->sampling.temperature, "0: greedy")->capture_default_str();
  command->add_option("--top-k", a->sampling.top_k, "sample among the k likeliest tokens (0: all)")
      ->capture_default_str();
  command
      ->add_option("--top-p", a->sampling.top_p,
                   "sample among the likeliest tokens that together reach this probability")
      ->capture_default_str();
  command
      ->add_option("--seed", a->sampling.seed,
                   "the same seed gives the same text on any number of ranks")
      ->capture_default_str();
  command->add_flag("--ignore-eos", a->ignore_eos, "go on after an end-of-text token");
  command->add_option("--out", a->out, "completions as JSON lines");
  command->add_option("--show", a->show,
                      "print this many completions (default: all, or none with --out)");
  command->add_option("--stats", a->stats, "write the run's statistics as JSON");
  command->add_option("--name", a->name, "the run's name in its statistics")->capture_default_str();
  command->add_option("--trace", a->trace,
                      "write the router's choices of all tokens, generated ones too, as a trace");
  add_profile_option(*command, a->profile);
  command->add_flag("--logit-hashes", a->logit_hashes,
                    "add to each completion a hash of every sampled row of logits");
  command->callback([a, &action] { action = [a](CliContext& context) { generate(*a, context); }; });
}

}  // namespace gracemoe
