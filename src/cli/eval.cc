// gracemoe eval: perplexity of texts.
#include <fmt/core.h>

#include <algorithm>

#include "base/files.h"
#include "base/json.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "cli/profile_option.h"
#include "model/model_config.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct EvalArguments {
  DeploymentArguments deployment;
  std::vector<std::string> texts;
  std::string json, profile;
  int window = 256;
};

// "bf16,int8" -> its parts.
std::vector<std::string> modes_of(const std::string& weights) {
  std::vector<std::string> modes;
  for (std::size_t begin = 0; begin <= weights.size();) {
    const std::size_t end = std::min(weights.find(',', begin), weights.size());
    modes.push_back(weights.substr(begin, end - begin));
    begin = end + 1;
  }
  return modes;
}

void check_texts(const EvalArguments& a, const EncodedTexts& encoded, const ModelConfig& config) {
  for (std::size_t i = 0; i < encoded.texts.size(); ++i) {
    if (encoded.texts[i].size() < static_cast<std::size_t>(a.window))
      fail_input({a.texts[i], std::to_string(encoded.texts[i].size()) + " tokens",
                  "at least one window of " + std::to_string(a.window),
                  "choose a shorter --window or a longer text"});
  }
  for (const std::vector<int>& text : encoded.texts)
    check_windows(cut_windows(text, a.window, 0, 0), a.window, config);
}

DeploymentArguments with_weights(const EvalArguments& a, const std::string& weights) {
  DeploymentArguments arguments = a.deployment;
  arguments.weights = weights;
  return arguments;
}

// What a later mode would be refused for is told before the first is run. Collective.
void check_modes(const EvalArguments& a, const std::vector<std::string>& modes,
                 CliContext& context) {
  const int ranks_on_host = context.ranks_on_host();
  together(context.transport(), [&] {
    for (const std::string& mode : modes)
      deployment_options(with_weights(a, mode), false, ranks_on_host);
  });
}

// Perplexity of each text with one kind of weights. Collective.
std::vector<Perplexity> eval_weights(const EvalArguments& a, const EncodedTexts& encoded,
                                     const std::string& weights, RunProfile& profile,
                                     CliContext& context) {
  const DeploymentArguments arguments = with_weights(a, weights);
  const RunSize size{reading_positions(arguments, a.window), arguments.max_rows};
  const auto deployment = deploy(arguments, false, size, context);
  std::vector<Perplexity> results;
  for (std::size_t i = 0; i < encoded.texts.size(); ++i) {
    ProgressBar bar("eval " + a.texts[i], "tokens",
                    static_cast<std::int64_t>(encoded.texts[i].size()),
                    arguments.quiet || !context.root());
    RunOptions options = run_options(arguments);
    options.progress = [&bar](std::int64_t done) { bar.update(done); };
    profile.begin(options);
    results.push_back(measure_perplexity(*deployment, encoded.texts[i], a.window, options));
  }
  return results;
}

void print_perplexity(const EvalArguments& a, std::size_t text, const std::string& weights,
                      const Perplexity& result, const Perplexity* first) {
  const std::string against =
      first == nullptr ? "" : fmt::format(", {:+.3f}%", 100 * (result.value / first->value - 1));
  fmt::print("{}: perplexity {:.4f}{} ({}{} tokens, {} scored, windows of {})\n", a.texts[text],
             result.value, against, weights.empty() ? "" : weights + " weights, ",
             with_commas(result.tokens), with_commas(result.predicted), a.window);
}

void eval(const EvalArguments& a, CliContext& context) {
  const std::vector<std::string> modes = modes_of(a.deployment.weights);
  RunProfile profile(a.profile);
  context.start(a.deployment.topology, a.deployment.timeout);
  require_outputs({a.json, a.profile}, context);
  check_modes(a, modes, context);
  const EncodedTexts encoded = encode_texts(a.texts, a.deployment.model, context);
  together(context.transport(),
           [&] { check_texts(a, encoded, read_model_config(a.deployment.model)); });
  std::vector<std::vector<Perplexity>> results;  // [modes][texts]
  for (const std::string& mode : modes)
    results.push_back(eval_weights(a, encoded, mode, profile, context));
  OrderedJson json = OrderedJson::array();
  for (std::size_t text = 0; text < a.texts.size(); ++text) {
    for (std::size_t mode = 0; mode < modes.size(); ++mode) {
      const Perplexity& result = results[mode][text];
      if (context.root())
        print_perplexity(a, text, modes.size() > 1 ? modes[mode] : "", result,
                         mode > 0 ? &results[0][text] : nullptr);
      json.push_back({{"text", a.texts[text]},
                      {"weights", modes[mode]},
                      {"perplexity", result.value},
                      {"tokens", result.tokens},
                      {"scored", result.predicted}});
    }
  }
  together(context.transport(), [&] {
    if (context.root() && !a.json.empty()) write_file(a.json, json.dump(2) + "\n");
  });
  profile.write(context);
}

}  // namespace

void add_eval(CLI::App& app, Action& action) {
  auto a = std::make_shared<EvalArguments>();
  CLI::App* command = app.add_subcommand("eval", "Perplexity of texts under the model");
  add_deployment_arguments(*command, a->deployment);
  command->get_option("--weights")->description("bf16 | int8, or both, bf16,int8: side by side");
  command->add_option("--text", a->texts, "text file (repeat for more)")->required();
  command->add_option("--window", a->window, "tokens a window; the first of each is not scored")
      ->check(CLI::Range(2, 1 << 20))
      ->capture_default_str();
  add_profile_option(*command, a->profile);
  command->add_option("--json", a->json, "also write the figures to this file");
  command->callback([a, &action] { action = [a](CliContext& context) { eval(*a, context); }; });
}

}  // namespace gracemoe
