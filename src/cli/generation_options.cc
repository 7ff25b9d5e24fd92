#include "cli/generation_options.h"

#include <fmt/core.h>

#include "base/error.h"
#include "cli/numbers.h"

namespace gracemoe {

void add_generation_arguments(CLI::App& command, GenerationArguments& a) {
  const std::string otherwise = " (default: the model's generation_config.json, else ";
  command.add_option("--max-tokens", a.max_tokens, "tokens to generate")
      ->check(CLI::Range(1, 1 << 20));
  command.add_option("--temperature", a.temperature, "0: greedy" + otherwise + "0)")
      ->check(finite_number());
  command.add_option("--top-k", a.top_k,
                     "sample among the k likeliest tokens" + otherwise + "0: all)");
  command
      .add_option("--top-p", a.top_p,
                  "sample among the likeliest tokens that together reach this probability" +
                      otherwise + "1)")
      ->check(finite_number());
  command
      .add_option("--min-p", a.min_p,
                  "sample among tokens at least so likely as this share of the likeliest" +
                      otherwise + "0)")
      ->check(finite_number());
  command
      .add_option("--repetition-penalty", a.repetition_penalty,
                  "above 1: tokens of prompt and answer become less likely" + otherwise + "1)")
      ->check(finite_number());
  command
      .add_option("--presence-penalty", a.presence_penalty,
                  "taken off the logits of tokens that the answer holds")
      ->check(finite_number())
      ->capture_default_str();
  command
      .add_option("--frequency-penalty", a.frequency_penalty,
                  "taken off the logits for each time that the answer holds a token")
      ->check(finite_number())
      ->capture_default_str();
  command.add_option("--seed", a.seed, "the same seed gives the same text on any number of ranks")
      ->capture_default_str();
  command.add_option("--stop", a.stop,
                     "a text that ends an answer and is cut off (repeat)" + otherwise + "none)");
}

namespace {

// Which of its values the model itself has set.
std::string sources(const GenerationArguments& a, const GenerationConfig& config) {
  std::string names;
  const auto note = [&](const char* name, bool given, bool configured) {
    if (!given && configured) names += (names.empty() ? "" : ", ") + std::string(name);
  };
  note("temperature", a.temperature.has_value(), config.temperature.has_value());
  note("top-k", a.top_k.has_value(), config.top_k.has_value());
  note("top-p", a.top_p.has_value(), config.top_p.has_value());
  note("min-p", a.min_p.has_value(), config.min_p.has_value());
  note("repetition penalty", a.repetition_penalty.has_value(),
       config.repetition_penalty.has_value());
  note("stop", !a.stop.empty(), !config.stop_strings.empty());
  note("max-tokens", a.max_tokens.has_value(), config.max_new_tokens.has_value());
  return names.empty() ? "" : "; from generation_config.json: " + names;
}

template <typename T>
T chosen(const std::optional<T>& given, const std::optional<T>& configured, T otherwise) {
  return given ? *given : configured.value_or(otherwise);
}

}  // namespace

GenerationSettings settle(const GenerationArguments& a, const GenerationConfig& config,
                          int max_tokens_otherwise) {
  GenerationSettings settings;
  SamplingOptions& s = settings.sampling;
  s.temperature = chosen(a.temperature, config.temperature, 0.0);
  s.top_k = chosen(a.top_k, config.top_k, 0);
  s.top_p = chosen(a.top_p, config.top_p, 1.0);
  s.min_p = chosen(a.min_p, config.min_p, 0.0);
  s.repetition_penalty = chosen(a.repetition_penalty, config.repetition_penalty, 1.0);
  s.presence_penalty = a.presence_penalty;
  s.frequency_penalty = a.frequency_penalty;
  s.seed = a.seed;
  check_sampling(s);
  settings.max_tokens = chosen(a.max_tokens, config.max_new_tokens, max_tokens_otherwise);
  settings.stop = a.stop.empty() ? config.stop_strings : a.stop;
  for (const std::string& stop : a.stop)
    if (stop.empty()) fail_usage({"stop", "an empty text", "a text", ""});
  settings.text = fmt::format(
      "sampling: temperature {}, top-k {}, top-p {}, min-p {}, penalties: repetition {}, presence "
      "{}, frequency {}, seed {}, at most {} tokens, {} stop texts{}",
      s.temperature, s.top_k, s.top_p, s.min_p, s.repetition_penalty, s.presence_penalty,
      s.frequency_penalty, s.seed, settings.max_tokens, settings.stop.size(), sources(a, config));
  return settings;
}

}  // namespace gracemoe
