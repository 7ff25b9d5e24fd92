// What generation_config.json says about choosing tokens: the defaults of a model's makers. Its end
// tokens are read with config.json (model/model_config.h).
#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace gracemoe {

struct GenerationConfig {
  std::optional<double> temperature;  // 0 where do_sample is false
  std::optional<int> top_k;           // 0: all
  std::optional<double> top_p, min_p;
  std::optional<double> repetition_penalty;
  std::optional<int> max_new_tokens;
  std::vector<std::string> stop_strings;
};

// Empty without the file. Where do_sample is missing or false: greedy, and what only sampling would
// need is left out. Errors (kInput), with file and key: a value of the wrong type or out of range,
// a way to generate that we do not have (beams, contrastive search, suppressed or forced tokens,
// ...).
GenerationConfig read_generation_config(const std::filesystem::path& folder);

}  // namespace gracemoe
