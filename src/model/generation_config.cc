#include "model/generation_config.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace gracemoe {
namespace {

std::optional<double> number(const JsonObject& json, const std::string& key, double min,
                             double max) {
  if (!json.has(key)) return std::nullopt;
  const double value = json.number(key);
  if (!(value >= min && value <= max))
    fail_input({json.key_name(key), std::to_string(value),
                std::to_string(min) + " to " + std::to_string(max), ""});
  return value;
}

// Ways to choose tokens that would give another text: refused unless they are switched off.
void refuse_others(const JsonObject& json) {
  const auto refuse = [&](const std::string& key, bool on) {
    if (on)
      fail_input({json.key_name(key), show_json(json.raw(key)), "it switched off",
                  "gracemoe has greedy choice and sampling only"});
  };
  refuse("num_beams", json.integer_or("num_beams", 1, 1, 1 << 20) != 1);
  refuse("penalty_alpha", json.number_or("penalty_alpha", 0) != 0);
  refuse("typical_p", json.number_or("typical_p", 1) != 1);
  refuse("no_repeat_ngram_size", json.integer_or("no_repeat_ngram_size", 0, 0, 1 << 20) != 0);
  refuse("guidance_scale", json.number_or("guidance_scale", 1) != 1);
}

}  // namespace

GenerationConfig read_generation_config(const std::filesystem::path& folder) {
  GenerationConfig config;
  const std::filesystem::path file = folder / "generation_config.json";
  if (!file_exists(file)) return config;
  const Json parsed = read_json(file);
  const JsonObject json(parsed, file.string());
  refuse_others(json);
  config.repetition_penalty = number(json, "repetition_penalty", 1e-3, 1e3);
  if (json.has("max_new_tokens"))
    config.max_new_tokens = static_cast<int>(json.integer("max_new_tokens", 1, 1 << 20));
  if (!json.boolean_or("do_sample", false)) {
    if (json.has("do_sample")) config.temperature = 0;
    return config;
  }
  config.temperature = number(json, "temperature", 0, 100).value_or(1);
  if (json.has("top_k")) config.top_k = static_cast<int>(json.integer("top_k", 0, 1 << 24));
  config.top_p = number(json, "top_p", 1e-6, 1);
  config.min_p = number(json, "min_p", 0, 1);
  return config;
}

}  // namespace gracemoe
