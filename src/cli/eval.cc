// gracemoe eval: perplexity of texts.
#include <fmt/core.h>

#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct EvalArguments {
  DeploymentArguments deployment;
  std::vector<std::string> texts;
  std::string json;
  int window = 256;
};

void eval(const EvalArguments& a, CliContext& context) {
  const auto deployment = deploy(a.deployment, false, {a.json}, context);
  const EncodedTexts encoded = encode_texts(a.texts, a.deployment.model, context);
  together(context.transport(), [&] {
    for (std::size_t i = 0; i < encoded.texts.size(); ++i) {
      if (encoded.texts[i].size() < static_cast<std::size_t>(a.window))
        fail_input({a.texts[i], std::to_string(encoded.texts[i].size()) + " tokens",
                    "at least one window of " + std::to_string(a.window),
                    "choose a shorter --window or a longer text"});
    }
    if (a.window > deployment->config().max_positions)
      fail_usage({"window", std::to_string(a.window),
                  "at most " + std::to_string(deployment->config().max_positions) +
                      ", the model's positions",
                  ""});
  });
  OrderedJson results = OrderedJson::array();
  for (std::size_t i = 0; i < encoded.texts.size(); ++i) {
    ProgressBar bar("eval " + a.texts[i], "tokens",
                    static_cast<std::int64_t>(encoded.texts[i].size()),
                    a.deployment.quiet || !context.root());
    RunOptions options = run_options(a.deployment);
    options.progress = [&bar](std::int64_t done) { bar.update(done); };
    const Perplexity result = measure_perplexity(*deployment, encoded.texts[i], a.window, options);
    if (context.root())
      fmt::print("{}: perplexity {:.4f} ({} tokens, {} scored, windows of {})\n", a.texts[i],
                 result.value, with_commas(result.tokens), with_commas(result.predicted), a.window);
    results.push_back({{"text", a.texts[i]},
                       {"perplexity", result.value},
                       {"tokens", result.tokens},
                       {"scored", result.predicted}});
  }
  together(context.transport(), [&] {
    if (context.root() && !a.json.empty()) write_file(a.json, results.dump(2) + "\n");
  });
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  auto a = std::make_shared<EvalArguments>();
  CLI::App* command = app.add_subcommand("eval", "Perplexity of texts under the model");
  add_deployment_arguments(*command, a->deployment);
  command->add_option("--text", a->texts, "text file (repeat for more)")->required();
  command->add_option("--window", a->window, "tokens a window; the first of each is not scored")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  command->add_option("--json", a->json, "also write the figures to this file");
  command->callback([a, &action] { action = [a](CliContext& context) { eval(*a, context); }; });
}

}  // namespace gracemoe
