// gracemoe make-checkpoint: a model folder of a released model's exact shapes with random weights,
// for planning capacity and for measuring.
#include "base/files.h"
#include "base/progress.h"
#include "cli/commands.h"
#include "cli/numbers.h"
#include "model/checkpoint_maker.h"

#include <fmt/core.h>

namespace gracemoe {
namespace {

struct MakeArguments {
  CheckpointRecipe recipe;
  std::string out;
  bool quiet = false;
};

void make(const MakeArguments& a) {
  const std::int64_t bytes = checkpoint_bytes(a.recipe);
  constexpr std::int64_t kMegabyte = 1'000'000;
  {
    ProgressBar bar("make-checkpoint", "MB", bytes / kMegabyte, a.quiet);
    make_checkpoint(a.recipe, a.out, [&](std::int64_t done) { bar.update(done / kMegabyte); });
  }
  fmt::print("{}: {} of weights\n", a.out, human_bytes(static_cast<double>(bytes)));
}

}  // namespace

void add_make_checkpoint(CLI::App& app, Action& action) {
  auto a = std::make_shared<MakeArguments>();
  CLI::App* command = app.add_subcommand(
      "make-checkpoint",
      "Write a model folder of a released model's shapes with random weights (bf16)");
  command->add_option("--preset", a->recipe.preset,
                      "olmoe-1b-7b | qwen3-30b-a3b | deepseek-v2-lite");
  command->add_option("--config", a->recipe.config, "or: a config.json to take the shapes from");
  command->add_option("--out", a->out, "folder to write: new, or empty")->required();
  command->add_option("--layers", a->recipe.layers, "layers (default: the model's own number)")
      ->check(CLI::Range(1, 1000));
  command->add_option("--seed", a->recipe.seed, "of the weights")->capture_default_str();
  command->add_option("--shard-gb", a->recipe.shard_gb, "largest size of a shard, in 10^9 bytes")
      ->check(number_above(0))
      ->capture_default_str();
  command->add_option("--tokenizer", a->recipe.tokenizer,
                      "tokenizer.json to copy into the folder; its ids must fit the vocabulary");
  command->add_flag("--quiet", a->quiet, "no progress bar");
  command->callback(
      [a, &action] { action = [a](CliContext& context) { context.on_root([&] { make(*a); }); }; });
}

}  // namespace gracemoe
