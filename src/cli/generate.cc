// gracemoe generate: a batch of prompts in, completions and statistics out.
#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <map>
#include <numeric>
#include <optional>

#include "base/files.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/completions_file.h"
#include "cli/deployment_options.h"
#include "cli/profile_option.h"
#include "cli/prompts.h"
#include "metrics/run_statistics.h"
#include "model/detokenizer.h"
#include "model/model_config.h"
#include "model/stop_texts.h"
#include "model/tokenizer.h"
#include "runtime/collect.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct GenerateArguments {
  DeploymentArguments deployment;
  PromptArguments prompts;
  GenerationArguments generation;
  std::string out, stats, name = "run", trace, profile;
  int show = -1;
  bool ignore_eos = false, logit_hashes = false;
};

OrderedJson logprobs_json(const Completion& c, const Tokenizer& tokenizer) {
  OrderedJson list = OrderedJson::array();
  for (std::size_t i = 0; i < c.logprobs.size(); ++i) {
    const TokenLogprobs& one = c.logprobs[i];
    OrderedJson top = OrderedJson::array();
    for (std::size_t j = 0; j < one.ids.size(); ++j)
      top.push_back({{"id", one.ids[j]},
                     {"token", std::string(tokenizer.token_bytes(one.ids[j]))},
                     {"logprob", one.logprob[j]}});
    list.push_back({{"id", c.tokens[i]},
                    {"token", std::string(tokenizer.token_bytes(c.tokens[i]))},
                    {"logprob", one.chosen},
                    {"top", std::move(top)}});
  }
  return list;
}

// Turns completions into lines and text, on rank 0, as they are done.
class CompletionWriter {
 public:
  CompletionWriter(const GenerateArguments& a, const PromptBatch& batch, const std::string& key)
      : batch_(batch), tokenizer_(*batch.tokenizer) {
    const auto all = static_cast<std::int64_t>(batch.requests.size());
    show_ = a.show >= 0 ? a.show : a.out.empty() ? all : 0;
    if (!a.out.empty()) file_.emplace(a.out, key);
    next_shown_ = done();
  }

  // Requests that an earlier run has answered: 0 .. done()-1.
  std::uint64_t done() const { return file_ ? file_->done() : 0; }
  const Workload& workload() const { return workload_; }

  void add(const Completion& c) {
    workload_.generated_tokens += static_cast<std::int64_t>(c.tokens.size());
    workload_.prompts += 1;
    workload_.prompt_tokens += static_cast<std::int64_t>(batch_.requests[c.id].prompt.size());
    const std::string text = text_of(c);
    if (file_) file_->add(c.id, line_of(c, text));
    if (static_cast<std::int64_t>(c.id) < show_) shown_.emplace(c.id, text);
    for (auto next = shown_.find(next_shown_); next != shown_.end();
         next = shown_.find(++next_shown_)) {
      fmt::print("--- {}\n{}\n>>> {}\n", next->first,
                 tokenizer_.decode(batch_.requests[next->first].prompt, false), next->second);
      shown_.erase(next);
    }
  }

  void finish() {
    if (file_) file_->finish();
  }

 private:
  std::string text_of(const Completion& c) const {
    const std::string text = tokenizer_.decode(c.tokens, true);
    return std::string(before_stop(text, batch_.requests[c.id].stop));
  }

  std::string line_of(const Completion& c, const std::string& text) const {
    const Request& request = batch_.requests[c.id];
    const RequestName& name = batch_.names[c.id];
    OrderedJson line = {{"index", name.index}};
    if (!name.custom_id.empty()) line["custom_id"] = name.custom_id;
    if (name.sample >= 0) line["sample"] = name.sample;
    line["prompt"] = tokenizer_.decode(request.prompt, false);
    line["prompt_tokens"] = request.prompt.size();
    line["text"] = text;
    line["tokens"] = c.tokens;
    line["finish_reason"] = c.reason == FinishReason::kStop ? "stop" : "length";
    if (request.logprobs >= 0) line["logprobs"] = logprobs_json(c, tokenizer_);
    for (const std::uint64_t hash : c.logit_hashes) line["logit_hashes"].push_back(hex64(hash));
    return line.dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
  }

  const PromptBatch& batch_;
  const Tokenizer& tokenizer_;
  std::optional<CompletionsFile> file_;
  std::int64_t show_ = 0;
  std::map<std::uint64_t, std::string> shown_;  // wait for those before them
  std::uint64_t next_shown_ = 0;
  Workload workload_;
};

// Everything that the lines of a run depend on.
std::string run_key(const GenerateArguments& a, const PromptBatch& batch,
                    const Deployment& deployment) {
  std::uint64_t hash = hash_combine(a.ignore_eos ? 1 : 0, a.logit_hashes ? 1 : 0);
  for (const RequestName& name : batch.names)
    hash = hash_bytes(std::as_bytes(std::span(name.custom_id)), hash);
  const std::vector<std::int64_t> requests = flat_requests(batch.requests);
  return deployment.fingerprint() + "-" +
         hex64(hash_bytes(std::as_bytes(std::span(requests)), hash));
}

// Watches for stop texts on the home of each request.
class StopHook {
 public:
  explicit StopHook(std::shared_ptr<const Tokenizer> tokenizer)
      : tokenizer_(std::move(tokenizer)) {}
  bool goes_on(const Request& request, int token) {
    if (request.stop.empty()) return true;
    auto [entry, is_new] = watches_.try_emplace(request.id, *tokenizer_, request.stop);
    entry->second.watch.push(entry->second.text.push(token));
    if (!entry->second.watch.stopped()) return true;
    watches_.erase(entry);
    return false;
  }

 private:
  struct Watched {
    Watched(const Tokenizer& tokenizer, const std::vector<std::string>& stop)
        : text(tokenizer, true), watch(stop) {}
    Detokenizer text;
    StopWatch watch;
  };
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::map<std::uint64_t, Watched> watches_;
};

void write_results(const GenerateArguments& a, Deployment& deployment, const RunTimes& times,
                   CompletionWriter* writer, CliContext& context) {
  Transport& transport = context.transport();
  RunStatistics stats = collect_statistics(
      deployment, times, writer == nullptr ? Workload{} : writer->workload(), context.host());
  stats.name = a.name;
  RoutingTrace trace;
  if (!a.trace.empty()) trace = collect_trace(deployment, "mixed");
  together(transport, [&] {
    if (writer == nullptr) return;
    writer->finish();
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

// Settings are agreed on before anything is read with them.
GenerationSettings agree_on_settings(const GenerateArguments& a, CliContext& context) {
  GenerationSettings settings;
  together(context.transport(), [&] {
    settings = settle(a.generation, read_generation_config(a.deployment.model), 32);
  });
  if (context.root() && !a.deployment.quiet) fmt::print(stderr, "{}\n", settings.text);
  return settings;
}

// Collective. On rank 0 the writer; requests that are done already are taken out of `requests`.
std::unique_ptr<CompletionWriter> open_writer(const GenerateArguments& a, const PromptBatch& batch,
                                              const Deployment& deployment, CliContext& context,
                                              std::vector<Request>& requests) {
  std::unique_ptr<CompletionWriter> writer;
  std::array<std::int64_t, 1> done{0};
  together(context.transport(), [&] {
    if (!context.root()) return;
    writer = std::make_unique<CompletionWriter>(a, batch, run_key(a, batch, deployment));
    done[0] = static_cast<std::int64_t>(writer->done());
  });
  context.transport().sum(done);  // only rank 0 has it
  if (done[0] > 0 && context.root() && !a.deployment.quiet)
    fmt::print(stderr, "{}.partial: {} of {} completions are there, going on behind them\n", a.out,
               done[0], batch.requests.size());
  const auto first = std::min(batch.requests.size(), static_cast<std::size_t>(done[0]));
  requests.assign(batch.requests.begin() + static_cast<std::ptrdiff_t>(first),
                  batch.requests.end());
  return writer;
}

void generate(const GenerateArguments& a, CliContext& context) {
  context.start(a.deployment.topology, a.deployment.timeout);
  require_outputs({a.out, a.stats, a.trace, a.profile}, context);
  Transport& transport = context.transport();
  // What is asked for comes first: the memory that it takes is part of whether the model fits.
  ModelConfig config;
  together(transport, [&] { config = read_model_config(a.deployment.model); });
  const GenerationSettings settings = agree_on_settings(a, context);
  const PromptBatch batch = read_prompts(a.prompts, settings, a.deployment.model, context);
  together(transport, [&] { check_requests(batch.requests, config.vocab, config.max_positions); });
  const std::vector<Request> asked =
      requests_of(batch.requests, transport.rank(), transport.size());
  const auto deployment = deploy(a.deployment, !a.trace.empty(),
                                 size_of_run(asked, run_options(a.deployment)), context);
  std::vector<Request> requests;
  const auto writer = open_writer(a, batch, *deployment, context, requests);

  RunOptions options = run_options(a.deployment);
  options.sample_vocab = batch.sample_vocab;
  options.ignore_eos = a.ignore_eos;
  options.logit_hashes = a.logit_hashes;
  std::optional<StopHook> stops;
  if (std::any_of(requests.begin(), requests.end(),
                  [](const Request& r) { return !r.stop.empty(); })) {
    together(transport, [&] {
      stops.emplace(batch.tokenizer ? batch.tokenizer
                                    : std::make_shared<const Tokenizer>(
                                          Tokenizer::of_folder(a.deployment.model)));
    });
    options.accept = [&](const Request& request, int token) {
      return stops->goes_on(request, token);
    };
  }
  options.deliver = [&](std::span<const Completion> finished) {
    const std::vector<Completion> all = collect_completions(transport, finished);
    if (writer != nullptr)
      for (const Completion& completion : all) writer->add(completion);
  };
  const std::int64_t total = std::accumulate(
      requests.begin(), requests.end(), std::int64_t{0}, [](std::int64_t sum, const Request& r) {
        return sum + static_cast<std::int64_t>(r.prompt.size()) + std::max(0, r.max_new_tokens - 1);
      });
  const std::vector<Request> mine = requests_of(requests, transport.rank(), transport.size());
  RunTimes times;
  RunProfile profile(a.profile);
  {
    ProgressBar bar("generate", "tokens", total, a.deployment.quiet || !context.root());
    options.progress = [&bar](std::int64_t done) { bar.update(done); };
    transport.barrier();  // end-to-end time starts when all are ready
    profile.begin(options);
    options.evened = deployment->evened();
    run_requests(deployment->model(), transport, mine, options, times);
  }
  write_results(a, *deployment, times, writer.get(), context);
  profile.write(context);
}

}  // namespace

void add_generate(CLI::App& app, Action& action) {
  auto a = std::make_shared<GenerateArguments>();
  CLI::App* command =
      app.add_subcommand("generate", "Generate text for a batch of prompts, alone or under mpirun");
  add_deployment_arguments(*command, a->deployment);
  add_prompt_arguments(*command, a->prompts);
  add_generation_arguments(*command, a->generation);
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
