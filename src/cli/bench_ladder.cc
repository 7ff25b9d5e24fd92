// gracemoe bench ladder: every row of the comparison ladder on one model and workload, in one job.
#include <fmt/core.h>

#include <charconv>

#include "base/files.h"
#include "cli/bench.h"
#include "cli/deployment_options.h"
#include "cli/numbers.h"
#include "report/html_report.h"
#include "report/ladder_rounds.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"
#include "study/ladder_study.h"

namespace gracemoe {
namespace {

struct LadderArguments {
  DeploymentArguments engine;
  std::vector<std::string> texts, profile_texts;
  std::string workload = "64x128x16", rows, trace, rate, out, html, svg;
  std::int64_t profile_tokens = 40000;
  int window = 256, rounds = 3;
  bool cold = false;
};

struct LadderWorkload {
  int prompts = 0, prompt_tokens = 0, new_tokens = 0;
};

LadderWorkload parse_workload(const std::string& text) {
  LadderWorkload w;
  const char *at = text.data(), *end = at + text.size();
  const auto number = [&](int& value, bool last) {
    const auto [next, error] = std::from_chars(at, end, value);
    const bool closed = last ? next == end : next != end && *next == 'x';
    if (error != std::errc() || value < 1 || value > 1 << 20 || !closed)
      fail_usage({"--workload", "'" + text + "'",
                  "prompts x tokens of each x new tokens, such as 64x128x16", ""});
    at = next + 1;
  };
  number(w.prompts, false);
  number(w.prompt_tokens, false);
  number(w.new_tokens, true);
  return w;
}

// What is profiled and what is served. Plans are judged on text that they were not made from: a
// text that is to serve for both is cut in the middle.
struct LadderTexts {
  std::vector<std::vector<int>> profiled, served;
  int vocab = 0;
};

LadderTexts ladder_texts(const LadderArguments& a, CliContext& context) {
  EncodedTexts served = encode_texts(a.texts, a.engine.model, context);
  LadderTexts texts;
  texts.vocab = served.tokenizer_vocab;
  if (!a.profile_texts.empty()) {
    texts.profiled = encode_texts(a.profile_texts, a.engine.model, context).texts;
    texts.served = std::move(served.texts);
    return texts;
  }
  for (const std::vector<int>& text : served.texts) {
    const auto middle = text.begin() + static_cast<std::ptrdiff_t>(text.size() / 2);
    texts.profiled.emplace_back(text.begin(), middle);
    texts.served.emplace_back(middle, text.end());
  }
  return texts;
}

std::vector<Request> profile_requests(const LadderArguments& a, const LadderTexts& texts) {
  std::vector<Request> windows;
  for (const auto& text : texts.profiled) {
    const auto cut = cut_windows(text, a.window, windows.size(), a.profile_tokens);
    windows.insert(windows.end(), cut.begin(), cut.end());
  }
  return windows;
}

// Read if the file is there, else made (and written, if it has a name). Complete on rank 0.
RoutingTrace ladder_trace(const LadderArguments& a, const LadderOptions& options,
                          const LadderTexts& texts, CliContext& context) {
  std::vector<std::int64_t> there{0};
  RoutingTrace trace;
  together(context.transport(), [&] {
    if (!context.root() || a.trace.empty() || !file_exists(a.trace)) return;
    there[0] = 1;
    trace = read_trace(a.trace);
  });
  context.transport().sum(there);
  if (there[0] > 0) return trace;
  trace =
      profile_windows(options, profile_requests(a, texts), context.topology(), context.transport());
  together(context.transport(), [&] {
    if (context.root() && !a.trace.empty()) write_trace(a.trace, trace);
  });
  return trace;
}

CostModel ladder_cost_model(const LadderArguments& a, const Topology& topology, double bits) {
  Cluster cluster = Cluster::uniform(topology);
  if (bits > 0) cluster.inter_node.bytes_per_s = bits / 8;
  const ModelConfig config = read_model_config(a.engine.model);
  return make_cost_model(cluster, {config.hidden, config.expert_width}, a.engine.max_rows);
}

void write_ladder(const LadderArguments& a, const LadderRounds& ladder, const RoutingTrace& trace) {
  fmt::print("{}", rounds_text(ladder, output_colour()));
  fmt::print("every row generated the same tokens\n");
  if (!a.out.empty()) write_file(a.out, rounds_json(ladder));
  if (a.html.empty() && a.svg.empty()) return;
  const std::vector<RunStatistics> runs = typical_runs(ladder);
  if (!a.svg.empty()) write_file(a.svg, ladder_svg(runs));
  if (a.html.empty()) return;
  ReportInput page;
  page.title = "The comparison ladder";
  page.runs = runs;
  page.statistics = nullptr;
  page.trace = &trace;
  write_html_report(a.html, page);
}

LadderOptions ladder_options(const LadderArguments& a, CliContext& context) {
  LadderOptions options;
  const int ranks_on_host = context.ranks_on_host();
  together(context.transport(), [&] {
    options.rows = choose_ladder_rows(a.rows);
    parse_workload(a.workload);
    line_rate(a.rate);
    options.engine = deployment_options(a.engine, false, ranks_on_host);
    if (options.engine.reduction == Reduction::kBf16)
      fail_usage({"reduction of bench ladder", a.engine.reduction, "fp32 or exact",
                  "bf16 rounds partial sums, and the rows' tokens are to be equal: eval "
                  "--reduction bf16 tells what it costs"});
    for (const std::string& output : {a.out, a.html, a.svg})
      if (context.root() && !output.empty()) require_writable(output);
    if (context.root() && !a.trace.empty() && !file_exists(a.trace)) require_writable(a.trace);
    refuse_twice({a.out, a.html, a.svg, a.trace});
  });
  options.run = run_options(a.engine);
  options.run.ignore_eos = true;  // the same work in every row, whatever is generated
  options.rounds = a.rounds;
  options.warm_up = !a.cold;
  options.host = context.host();
  options.quiet = a.engine.quiet;
  return options;
}

void bench_ladder(const LadderArguments& a, CliContext& context) {
  context.start(a.engine.topology, a.engine.timeout);
  LadderOptions options = ladder_options(a, context);
  Transport& transport = context.transport();
  const LadderTexts texts = ladder_texts(a, context);
  options.run.sample_vocab = texts.vocab;
  const LadderWorkload w = parse_workload(a.workload);
  std::vector<Request> requests;
  CostModel model;
  const double bits = line_rate(a.rate);
  together(transport, [&] {
    requests = cut_prompts(texts.served, w.prompts, w.prompt_tokens, w.new_tokens);
    const ModelConfig config = read_model_config(a.engine.model);
    check_requests(requests, config.vocab, config.max_positions);
    model = ladder_cost_model(a, context.topology(), bits);
  });
  const RoutingTrace trace = ladder_trace(a, options, texts, context);
  const auto plans =
      plan_rows(options.rows, trace, model, transport, [&](const std::string& placement) {
        if (!a.engine.quiet) fmt::print(stderr, "plan: {}\n", placement);
      });
  LadderRounds ladder;
  ladder.rows = run_ladder(options, plans, requests, context.topology(), transport);
  ladder.link_bits_per_s = bits;
  ladder.warm = options.warm_up;
  together(transport, [&] {
    if (context.root()) write_ladder(a, ladder, trace);
  });
}

}  // namespace

void add_bench_ladder(CLI::App& bench, Action& action) {
  auto a = std::make_shared<LadderArguments>();
  CLI::App* command = bench.add_subcommand(
      "ladder",
      "Run every row of the comparison ladder on one model and text: the same tokens, each row's "
      "time and traffic");
  a->engine.overlap = "none";  // of the rows that do not say
  a->engine.packing = "sums";  // likewise
  a->engine.even = "none";     // the published systems' rows do not know it
  add_engine_arguments(*command, a->engine);
  command->add_option("--text", a->texts, "text file that prompts are cut from (repeat for more)")
      ->required();
  command->add_option("--profile-text", a->profile_texts,
                      "text files to profile (default: the first half of each --text, whose second "
                      "half is then served)");
  command->add_option("--trace", a->trace,
                      "routing trace to plan from; made from the profile text and written if the "
                      "file is not there");
  command
      ->add_option("--profile-tokens", a->profile_tokens, "of each profile text, at most (0: all)")
      ->check(number_from(0))
      ->capture_default_str();
  command->add_option("--window", a->window, "tokens a sequence when profiling")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--workload", a->workload, "prompts x tokens of each x new tokens")
      ->capture_default_str();
  command->add_option("--rounds", a->rounds, "times that all rows run, in turn")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_flag("--cold", a->cold,
                    "no warm-up: measure a freshly loaded model's first run, not its second");
  command->add_option("--rows", a->rows, "comma-separated names of rows (default: all)");
  add_rate_argument(*command, a->rate);
  command->add_option("--out", a->out, "write all figures as JSON");
  command->add_option("--html", a->html, "write a page with tables and pictures");
  command->add_option("--svg", a->svg, "write a picture of the rows' times");
  command->callback(
      [a, &action] { action = [a](CliContext& context) { bench_ladder(*a, context); }; });
}

}  // namespace gracemoe
