// gracemoe profile: text through the model, the router's choices into a trace file.
#include <fmt/core.h>

#include "base/clock.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/deployment_options.h"
#include "cli/numbers.h"
#include "model/model_config.h"
#include "runtime/collect.h"
#include "runtime/text_windows.h"
#include "runtime/together.h"

namespace gracemoe {
namespace {

struct ProfileArguments {
  DeploymentArguments deployment;
  std::vector<std::string> texts;
  std::string out;
  int window = 256;
  std::int64_t max_tokens = 0;
};

std::vector<Request> windows_of(const EncodedTexts& encoded, const ProfileArguments& a) {
  std::vector<Request> windows;
  for (const auto& text : encoded.texts) {
    const std::vector<Request> cut = cut_windows(text, a.window, windows.size(), a.max_tokens);
    windows.insert(windows.end(), cut.begin(), cut.end());
  }
  return windows;
}

void profile(const ProfileArguments& a, CliContext& context) {
  context.start(a.deployment.topology, a.deployment.timeout);
  require_outputs({a.out}, context);
  Transport& transport = context.transport();
  const EncodedTexts encoded = encode_texts(a.texts, a.deployment.model, context);
  const std::vector<Request> windows = windows_of(encoded, a);
  // What the model cannot read is refused before its weights are loaded.
  together(transport,
           [&] { check_windows(windows, a.window, read_model_config(a.deployment.model)); });
  const auto deployment =
      deploy(a.deployment, true, {reading_positions(a.deployment, a.window), 0}, context);
  std::int64_t tokens = 0;
  for (const Request& window : windows) tokens += static_cast<std::int64_t>(window.prompt.size());
  RunTimes times;
  {
    ProgressBar bar("profile", "tokens", tokens, a.deployment.quiet || !context.root());
    RunOptions options = run_options(a.deployment);
    options.evened = deployment->evened();
    options.progress = [&bar](std::int64_t done) { bar.update(done); };
    run_requests(deployment->model(), transport,
                 requests_of(windows, transport.rank(), transport.size()), options, times);
  }
  const RoutingTrace trace = collect_trace(*deployment, "prefill");
  together(transport, [&] {
    if (context.root()) write_trace(a.out, trace);
  });
  if (context.root())
    fmt::print(
        "{}: {} tokens of {} windows, {} MoE layers, top-{} of {} experts ({:.0f} tokens/s)\n",
        a.out, with_commas(trace.tokens()), windows.size(), trace.layers, trace.top_k,
        trace.num_experts, static_cast<double>(tokens) / times.end_to_end_s);
}

}  // namespace

void add_profile(CLI::App& app, Action& action) {
  auto a = std::make_shared<ProfileArguments>();
  CLI::App* command = app.add_subcommand(
      "profile", "Run text through the model and record which experts each token chose");
  add_deployment_arguments(*command, a->deployment);
  command->add_option("--text", a->texts, "text file (repeat for more)")->required();
  command->add_option("--out", a->out, "trace file to write (safetensors)")->required();
  command->add_option("--window", a->window, "tokens a sequence")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  command
      ->add_option("--max-tokens", a->max_tokens,
                   "take only this many tokens of each text (0: all)")
      ->check(number_from(0))
      ->capture_default_str();
  command->callback([a, &action] { action = [a](CliContext& context) { profile(*a, context); }; });
}

}  // namespace gracemoe
