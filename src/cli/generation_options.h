// How tokens are chosen and where an answer ends: from the command line, else from the model's
// generation_config.json, else greedy.
#pragma once
#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "engine/sampler.h"
#include "model/generation_config.h"

namespace gracemoe {

struct GenerationArguments {
  std::optional<double> temperature, top_p, min_p, repetition_penalty;
  std::optional<int> top_k, max_tokens;
  double presence_penalty = 0, frequency_penalty = 0;
  std::uint64_t seed = 0;
  std::vector<std::string> stop;
};

void add_generation_arguments(CLI::App& command, GenerationArguments& arguments);

// What holds for every request that does not say otherwise.
struct GenerationSettings {
  SamplingOptions sampling;
  int max_tokens = 0;
  std::vector<std::string> stop;
  std::string text;  // all of it on a line, and where it comes from
};
// Errors: kUsage or kInput, a value out of range.
GenerationSettings settle(const GenerationArguments& arguments, const GenerationConfig& config,
                          int max_tokens_otherwise);

}  // namespace gracemoe
