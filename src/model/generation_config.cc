#include "model/generation_config.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace gracemoe {
namespace {

constexpr const char* kCorrect = "correct it there, or remove it and say it on the command line";

std::optional<double> number(const JsonObject& json, const std::string& key, double min,
                             double max) {
  if (!json.has(key)) return std::nullopt;
  const double value = json.number(key);
  if (!(value >= min && value <= max))
    fail_input({json.key_name(key), std::to_string(value),
                std::to_string(min) + " to " + std::to_string(max), kCorrect});
  return value;
}

// Lists, objects and numbers that say nothing.
bool is_off(const Json& value) {
  if (value.is_array() || value.is_object()) return value.empty();
  return value.is_null() || value == false || value == 0;
}

// Texts or one text; an empty one would end every answer at once.
std::vector<std::string> read_stop_strings(const JsonObject& json) {
  constexpr const char* kKey = "stop_strings";
  std::vector<std::string> texts;
  if (!json.has(kKey)) return texts;
  const Json& value = json.raw(kKey);
  for (const Json& entry : value.is_array() ? value : Json::array({value})) {
    if (!entry.is_string() || entry.get_ref<const std::string&>().empty())
      fail_input({json.key_name(kKey), show_json(entry), "a text, or a list of texts", kCorrect});
    texts.push_back(entry);
  }
  return texts;
}

// Ways to choose tokens that would give another text: refused unless they are switched off.
void refuse_others(const JsonObject& json) {
  const auto refuse = [&](const std::string& key, bool on) {
    if (on)
      fail_input({json.key_name(key), show_json(json.raw(key)), "it switched off",
                  "gracemoe has greedy choice and sampling only"});
  };
  refuse("num_beams", json.integer_or("num_beams", 1, 1, 1 << 20) != 1);
  refuse("num_beam_groups", json.integer_or("num_beam_groups", 1, 1, 1 << 20) != 1);
  refuse("penalty_alpha", json.number_or("penalty_alpha", 0) != 0);
  refuse("typical_p", json.number_or("typical_p", 1) != 1);
  refuse("no_repeat_ngram_size", json.integer_or("no_repeat_ngram_size", 0, 0, 1 << 20) != 0);
  refuse("guidance_scale", json.number_or("guidance_scale", 1) != 1);
  refuse("encoder_repetition_penalty", json.number_or("encoder_repetition_penalty", 1) != 1);
  for (const char* key :
       {"min_new_tokens", "min_length", "bad_words_ids", "force_words_ids", "constraints",
        "suppress_tokens", "begin_suppress_tokens", "sequence_bias", "forced_bos_token_id",
        "forced_eos_token_id", "forced_decoder_ids", "exponential_decay_length_penalty",
        "epsilon_cutoff", "eta_cutoff", "top_h", "encoder_no_repeat_ngram_size", "dola_layers",
        "watermarking_config", "max_time"})
    refuse(key, json.has(key) && !is_off(json.raw(key)));
}

}  // namespace

GenerationConfig read_generation_config(const std::filesystem::path& folder) {
  GenerationConfig config;
  const std::filesystem::path file = folder / "generation_config.json";
  if (!file_exists(file)) return config;
  const Json parsed = read_json(file);
  const JsonObject json(parsed, file.string());
  refuse_others(json);
  config.stop_strings = read_stop_strings(json);
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
